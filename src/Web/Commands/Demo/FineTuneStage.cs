using System.Diagnostics;
using System.Text.Json.Nodes;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats;
using TokenMill.Shared.Jobs;
using TokenMill.Web.Features.FineTuning;
using TokenMill.Web.Nodes;

namespace TokenMill.Web.Commands.Demo;

/// <summary>
/// Trains within a time budget: a few steps are timed first, then as many as fit, at most three epochs, are trained for real,
/// so that the schedule ends where the training does.
/// </summary>
internal sealed class FineTuneStage(string model, string folder, TimeProvider time, ILogger log)
{
    private const int TimedSteps = 3, BatchSize = 8, MaxLength = 512;

    /// <summary>At most: a small model on little data needs them, a larger one runs out of its time before.</summary>
    private const int Epochs = 10;
    private readonly long _parameters = ModelInspector.Inspect(model).Parameters ?? 0;
    private readonly LibtorchTrainer _trainer = new(new MachineFacts());
    private static readonly TimeSpan Budget = TimeSpan.FromSeconds(90), Reserve = TimeSpan.FromSeconds(12);

    public sealed record Outcome(DemoTraining Numbers, IReadOnlyDictionary<string, string> Exports);

    public async Task<Outcome> RunAsync(string trainPath, string validationPath, int trainRows, int? maxSteps, Action<StepEvent, int> progress, CancellationToken cancellationToken)
    {
        if (_trainer.WhyMissing() is { } missing) throw new RefusedException(missing);
        var steps = maxSteps ?? await AffordableStepsAsync(trainPath, trainRows, cancellationToken);
        var spec = Spec("run", trainPath, steps) with
        {
            Validation = new ValidationSpec { Path = validationPath },
            Checkpoint = new CheckpointSpec { EverySeconds = 30, Keep = 1 },
            Export = ["peft", "gguf-lora", "merged"],
        };
        var clock = Stopwatch.StartNew();
        var numbers = new Numbers();
        await foreach (var e in TrainAsync(spec, cancellationToken))
        {
            numbers.Take(e);
            if (e is StepEvent step) progress(step, steps);
        }
        return new Outcome(numbers.Report(clock.Elapsed.TotalSeconds), numbers.Exports);
    }

    private async Task<int> AffordableStepsAsync(string trainPath, int trainRows, CancellationToken cancellationToken)
    {
        // The first step pays for warming up; only those after it are timed.
        var at = new List<DateTimeOffset>();
        await foreach (var e in TrainAsync(Spec("timing", trainPath, TimedSteps) with { Export = [] }, cancellationToken))
            if (e is StepEvent) at.Add(e.At);
        Directory.Delete(Path.Combine(folder, "timing"), recursive: true);
        var perStep = (at[^1] - at[0]) / (at.Count - 1);
        return Math.Clamp((int)((Budget - Reserve) / perStep), 1, Math.Max(1, Epochs * trainRows / BatchSize));
    }

    private FineTuneSpec Spec(string name, string trainPath, int steps) => new()
    {
        Model = JsonValue.Create(model),
        Output = Path.Combine(folder, name),
        Data = [new DataSpec { Path = trainPath }],
        MaxSteps = steps,
        BatchSize = BatchSize,
        Accumulation = 1,
        MaxLength = MaxLength,
        Optimizer = new OptimizerSpec { LearningRate = FineTuneSettings.SuggestedRate(_parameters) },
    };

    private async IAsyncEnumerable<TrainerEvent> TrainAsync(FineTuneSpec spec, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(folder);
        var specPath = spec.Output + ".spec.json";
        await File.WriteAllTextAsync(specPath, Json.Serialize(spec), cancellationToken);
        var run = Guid.NewGuid().ToString("N");
        await using var trainer = TrainerProcess.Start(_trainer.Program(specPath, run, resume: false), run, time, log);
        var finished = false;
        await foreach (var e in trainer.EventsAsync(cancellationToken))
        {
            if (e is FailedEvent failed) throw new RefusedException(failed.Code, failed.Message, failed.Remedy);
            finished |= e is FinishedEvent;
            yield return e;
        }
        var exit = await trainer.Exited;
        if (!finished) throw new RefusedException("trainer-failed", $"the trainer ended without a result: {exit.Reason} {exit.Stderr}".Trim(), "run it again; if this repeats, free memory");
    }

    /// <summary>The numbers of a run, gathered from its events.</summary>
    private sealed class Numbers
    {
        private readonly List<StepEvent> _steps = [];
        private readonly List<double> _validation = [];
        private double? _seconds;

        public Dictionary<string, string> Exports { get; } = [];

        public void Take(TrainerEvent e)
        {
            switch (e)
            {
                case StepEvent step: _steps.Add(step); break;
                case ValidationEvent validation: _validation.Add(validation.Loss); break;
                case ExportEvent export: Exports[export.Kind] = export.Path; break;
                case FinishedEvent finished: _seconds = finished.Seconds; break;
            }
        }

        public DemoTraining Report(double wallSeconds) => new(
            _steps.Count, _steps[0].Loss, _steps.TakeLast(5).Average(s => s.Loss), _validation[0], _validation[^1],
            _steps.Skip(1).Select(s => s.TokensPerSecond).DefaultIfEmpty(_steps[0].TokensPerSecond).Order().ElementAt((_steps.Count - 1) / 2),
            _steps[^1].Tokens, _seconds ?? wallSeconds, _steps[^1].MemoryBytes);
    }
}
