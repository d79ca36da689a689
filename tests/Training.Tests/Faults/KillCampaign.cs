using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using TokenMill.Shared.Jobs;
using TokenMill.Training.Tests.Loop;

namespace TokenMill.Training.Tests.Faults;

/// <summary>
/// Kills trainers at moments drawn from a seed: anywhere in their life, or aimed at what takes only a few milliseconds. Whenever a run reaches its end,
/// it must be the uninterrupted one bit for bit; then the next begins, until the kills are used up.
/// </summary>
internal sealed class KillCampaign(RunFixture fixture, Action<string> log)
{
    private const int Steps = 240, CheckpointEvery = 10, EvaluateEvery = 40;

    private enum Stage { Loading, Step, Checkpoint, Validation, Export }

    private readonly List<double> _restartSeconds = [], _heldUpSeconds = [], _reported = [];
    private readonly Dictionary<Stage, int> _stages = [];

    /// <summary>Length of a step in the uninterrupted run.</summary>
    private double _stepSeconds;

    public async Task RunAsync(int kills, int seed)
    {
        var random = new Random(seed);
        var calm = RunFixture.Run(Spec("calm"));
        var expected = calm.OfType<StepEvent>().ToDictionary(step => step.Step, step => step.Loss);
        var times = calm.OfType<StepEvent>().Select(step => step.At).ToList();
        _stepSeconds = Median(times.Zip(times.Skip(1), (a, b) => (b - a).TotalSeconds));

        var (life, wall, useful, done, runs) = (1.0, Stopwatch.StartNew(), 0.0, 0, 0);
        for (; done < kills; runs++)
        {
            var name = $"killed-{runs}";
            var spec = fixture.File(name + ".json", [Spec(name)]);
            var losses = new Dictionary<int, double>();
            for (var finished = false; !finished;)
            {
                using var trainer = new TrainerProcess(spec, "--resume");
                if (done < kills) Strike(trainer, name, Aim(random), random.NextDouble() * life, ref done);
                var errors = await trainer.EndAsync();
                var journal = fixture.Path(name + "/events.jsonl");
                if (File.Exists(journal)) await File.AppendAllTextAsync(journal, "{\"type\":\"st");      // as a kill within the write leaves it
                finished = trainer.Events.Any(e => e.Event is FinishedEvent);
                if (finished) life = trainer.Age.TotalSeconds;
                else if (trainer.Events.Any(e => e.Event is FailedEvent)) Assert.Fail(errors);
                Note(trainer, losses);
            }
            useful += Steps * _stepSeconds;
            Assert.Equal(expected.OrderBy(step => step.Key), losses.OrderBy(step => step.Key));
            foreach (var file in new[] { "adapter/adapter_model.safetensors", "adapter.gguf" }) Assert.Equal(File.ReadAllBytes(fixture.Path("calm/" + file)), File.ReadAllBytes(fixture.Path($"{name}/{file}")));
            Assert.All(File.ReadLines(fixture.Path(name + "/events.jsonl")).SkipLast(1), line => Shared.Json.Deserialize<TrainerEvent>(line));
            Assert.Empty(Directory.GetFiles(fixture.Path(name), "*.tmp", SearchOption.AllDirectories));
            Assert.True(Directory.GetDirectories(fixture.Path(name + "/checkpoints")).Length <= 3);
        }
        Report(done, runs, useful / wall.Elapsed.TotalSeconds);
    }

    private string Spec(string output) => fixture.Spec(output, spec =>
    {
        (spec["max_steps"], spec["checkpoint"]!["every_steps"], spec["evaluate_every"]) = (Steps, CheckpointEvery, EvaluateEvery);
        spec["validation"] = new JsonObject { ["fraction"] = 0.2 };
        spec["adapter"]!["dropout"] = 0.1;
        spec["export"] = new JsonArray("peft", "gguf-lora", "merged");
    });

    /// <summary>Each stage once, then half of the kills anywhere and half at what would be hit too seldom.</summary>
    private Stage? Aim(Random random) => Enum.GetValues<Stage>().Cast<Stage?>().FirstOrDefault(stage => !_stages.ContainsKey(stage!.Value))
        ?? (random.Next(2) == 0 ? null : (Stage)random.Next((int)Stage.Checkpoint, (int)Stage.Export + 1));

    private void Strike(TrainerProcess trainer, string name, Stage? aim, double after, ref int done)
    {
        var checkpoints = fixture.Path(name + "/checkpoints");
        if (!trainer.WaitFor(() => aim is { } wanted ? StageOf(trainer, checkpoints) == wanted : trainer.Age.TotalSeconds > after)) return;      // it ended before
        var (last, stage) = (trainer.Last, StageOf(trainer, checkpoints));
        if (trainer.HasExited) return;
        trainer.Kill();
        _stages[stage] = _stages.GetValueOrDefault(stage) + 1;
        log(string.Create(CultureInfo.InvariantCulture, $"kill {++done,3}: {trainer.Age.TotalMilliseconds,5:0} ms after its start, at step {last?.Step ?? 0,3}, in {stage.ToString().ToLowerInvariant()}"));
    }

    private static Stage StageOf(TrainerProcess trainer, string checkpoints) => trainer.Last switch
    {
        null => Stage.Loading,
        _ when Directory.Exists(checkpoints) && Directory.EnumerateDirectories(checkpoints, ".writing-*").Any() => Stage.Checkpoint,
        CheckpointEvent { Step: Steps } or ValidationEvent { Step: Steps } or ExportEvent => Stage.Export,
        StepEvent step when step.Step % EvaluateEvery == 0 => Stage.Validation,
        _ => Stage.Step,
    };

    /// <summary>A step done again must have the loss it had before.</summary>
    private void Note(TrainerProcess trainer, Dictionary<int, double> losses)
    {
        foreach (var (_, step) in trainer.Events.Where(e => e.Event is StepEvent).Select(e => (e.After, (StepEvent)e.Event)))
        {
            if (losses.TryGetValue(step.Step, out var before)) Assert.Equal(before, step.Loss);
            losses[step.Step] = step.Loss;
        }
        _heldUpSeconds.AddRange(trainer.Events.Select(e => e.Event).OfType<CheckpointEvent>().Select(checkpoint => checkpoint.Seconds));
        if (trainer.Last is FinishedEvent finished) _reported.Add(finished.EffectiveTime);
        if (trainer.Events.FirstOrDefault(e => e.Event is StepEvent) is (var after, { Step: > 1 })) _restartSeconds.Add(after.TotalSeconds);
    }

    private void Report(int kills, int runs, double measured)
    {
        var (held, restart) = (Median(_heldUpSeconds), Median(_restartSeconds));
        log($"{kills} kills in {runs} runs of {Steps} steps: {string.Join(", ", _stages.OrderBy(stage => stage.Key).Select(stage => $"{stage.Value} in {stage.Key.ToString().ToLowerInvariant()}"))}; every run ended with the losses and files of the uninterrupted one");
        log(string.Create(CultureInfo.InvariantCulture, $"C (training held up by a checkpoint) {held * 1000:0.0} ms, at most {_heldUpSeconds.Max() * 1000:0.0} ms; R (start to first step after a kill) {restart:0.00} s"));
        log(string.Create(CultureInfo.InvariantCulture, $"effective training time: {EffectiveTime.PerHour(held, restart):P2} at one fault an hour, {measured:P1} at the rate of these kills (the runs themselves, which do not see how long a killed process loaded, say {_reported.Average():P1})"));
        Assert.Equal(Enum.GetValues<Stage>(), _stages.Keys.Order());
        Assert.InRange(held, 0, 0.2);
        Assert.InRange(EffectiveTime.PerHour(held, restart), 0.98, 1);
    }

    public static double Median(IEnumerable<double> values) => values.Order().ToList() is { Count: > 0 } sorted ? sorted[sorted.Count / 2] : 0;
}
