using TokenMill.Shared;
using TokenMill.Shared.CommandLine;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Jobs;
using TokenMill.Training.Forecast;
using TokenMill.Training.Loop;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Commands;

/// <summary>
/// <c>train</c>: one run as a process. Events go to stdout, one JSON object a line; the last one says how it ended
/// (finished, paused, cancelled or failed), and so does the exit code.
/// </summary>
internal static class TrainCommand
{
    public static Command Command { get; } = new("train", "train SPEC.json [--device auto|cpu|cuda|cuda:N] [--plan [--json [FILE]]] [--resume] [--run TOKEN] [--parent-pipe]", RunAsync);

    private static async Task<int> RunAsync(Arguments arguments, CancellationToken cancellationToken)
    {
        var plan = arguments.Flag("--plan");
        var resume = arguments.Flag("--resume");
        var device = arguments.Option("--device");
        var run = arguments.Option("--run");
        var parentPipe = arguments.Flag("--parent-pipe");
        var path = arguments.Positional("SPEC.json");
        var json = plan ? arguments.Json() : null;
        arguments.End();
        if (plan) return await PlanAsync(path, device, json, parentPipe, cancellationToken);

        using var stop = new StopRequest();
        stop.ListenToSignals();
        if (parentPipe) stop.ListenTo(Console.In);
        await using var registration = cancellationToken.Register(() => stop.Ask(StopReason.Pause));
        using var events = new EventWriter(Console.Out, TimeProvider.System, run);

        return await OwnThread.Run("training", () => Run(path, device, resume, events, stop));
    }

    private static async Task<int> PlanAsync(string path, string? device, string? json, bool parentPipe, CancellationToken cancellationToken)
    {
        using var stop = new StopRequest();
        stop.ListenToSignals();
        if (parentPipe) stop.ListenTo(Console.In);
        using var stopped = CancellationTokenSource.CreateLinkedTokenSource(stop.Token, cancellationToken);
        var spec = Checked(Read(path), device);
        if (TorchDevice.Find(spec.Device) is not "cpu" and var gpu) throw new RefusedException("plan-unavailable", $"device: what a run costs on {gpu} cannot be foretold", "take cpu for a forecast, or run a few steps (max_steps) and read memory_bytes and tokens_per_second");
        FineTunePlan plan;
        try
        {
            plan = await new Planning(ProbeCache.OfUser(), TimeProvider.System).PlanAsync(spec, stopped.Token);
        }
        catch (OperationCanceledException) when (stopped.IsCancellationRequested)
        {
            return CommandLineHost.Interrupted;
        }
        if (json is null) foreach (var line in PlanText.Lines(plan)) Console.Out.WriteLine(line);
        else if (json.Length == 0) Console.Out.WriteLine(Json.Serialize(plan));
        else await File.WriteAllTextAsync(json, Json.Serialize(plan) + "\n", cancellationToken);
        return CommandLineHost.Done;
    }

    private static string Read(string path) => File.Exists(path) ? File.ReadAllText(path) : throw new RefusedException("file-not-found", $"{path} does not exist", "give the path of a specification");

    /// <param name="device">Instead of the specification's.</param>
    private static FineTuneSpec Checked(string text, string? device)
    {
        var spec = FineTuneSpec.Parse(text);
        if (device is not null) spec = spec with { Device = device };
        SpecCheck.Check(spec);
        return spec;
    }

    private static int Run(string path, string? device, bool resume, EventWriter events, StopRequest stop)
    {
        try
        {
            var text = Read(path);
            var spec = Checked(text, device);
            TorchDevice.Use(spec.Device);
            using var output = OutputFolder.Open(spec.Output, text, resume);
            events.KeepIn(output.Journal);
            using var training = new TrainingRun(spec, output, events, stop, TimeProvider.System);
            training.Execute();
        }
        catch (OperationCanceledException) when (stop.Token.IsCancellationRequested)
        {
            // Stopped before the first step: there is nothing to save.
            events.Write(stop.Reason == StopReason.Cancel ? new CancelledEvent() : new PausedEvent(), 0);
        }
        catch (Exception e) when (Explain(e) is { } error)
        {
            events.Write(new FailedEvent(error.Code, error.Message, error.Remedy), 0);
            throw new RefusedException(error, e);
        }
        return stop.BySignal ? CommandLineHost.Interrupted : CommandLineHost.Done;
    }

    // errno: ENOSPC, EFBIG, EDQUOT
    private const int NoSpace = 28, FileTooLarge = 27, OverQuota = 122;

    internal static Error? Explain(Exception e) => e switch
    {
        RefusedException refused => refused.Error,
        TorchException { IsOutOfMemory: true } when TorchDevice.IsGpu => new Error("out-of-memory", $"the memory of {TorchDevice.Current} is used up: {e.Message}", "set activation_checkpointing, lower max_length (and batch_size where packing is off), take adapter.type qlora, or a smaller model; then start again or resume"),
        OutOfMemoryException or TorchException { IsOutOfMemory: true } => new Error("out-of-memory", "the memory of this machine is used up", "./run train --plan says what would fit: lower max_length, take qlora, or a smaller model; then start again or resume"),
        IOException { HResult: NoSpace or FileTooLarge or OverQuota } io => new Error("disk-full", io.Message, "free some space, then resume: the last checkpoint is kept"),
        IOException or UnauthorizedAccessException => new Error("file-error", e.Message, "check the path, its rights and the free space, then resume"),
        TorchException => new Error("torch-error", e.Message, "this is a fault of the trainer: keep the output folder and report it"),
        _ => null,
    };
}
