using TokenMill.Shared;
using TokenMill.Shared.CommandLine;
using TokenMill.Shared.Jobs;
using TokenMill.Training.Forecast;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Commands;

/// <summary><c>probe</c>: what the forecast runs as a child, twice; see <see cref="Probe"/>.</summary>
internal static class ProbeCommand
{
    public static Command Command { get; } = new("probe", "probe --layers N < SPEC.json", RunAsync);

    private static async Task<int> RunAsync(Arguments arguments, CancellationToken cancellationToken)
    {
        var layers = arguments.Int("--layers") ?? 1;
        arguments.End();
        var spec = FineTuneSpec.Parse(await Console.In.ReadToEndAsync(cancellationToken));
        Console.Out.WriteLine(Json.Serialize(await OwnThread.Run("probe", () => Probe.Measure(spec, layers, cancellationToken))));
        return CommandLineHost.Done;
    }
}
