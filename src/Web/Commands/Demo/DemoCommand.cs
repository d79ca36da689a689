using TokenMill.Shared;
using TokenMill.Shared.CommandLine;

namespace TokenMill.Web.Commands.Demo;

/// <summary><c>demo</c>: the whole pipeline in the terminal.</summary>
public static class DemoCommand
{
    public static Command Command { get; } = new("demo", "demo [--model M.gguf] [--data D.jsonl] [--max-steps N] [--json [FILE]]", RunAsync);

    private static async Task<int> RunAsync(Arguments arguments, CancellationToken cancellationToken)
    {
        var model = Path.GetFullPath(arguments.Option("--model") ?? Installation.StarterModel);
        var data = Path.GetFullPath(arguments.Option("--data") ?? Installation.SampleDataset);
        var maxSteps = arguments.Int("--max-steps");
        var json = arguments.Json();
        arguments.End();
        if (maxSteps < 1) throw new UsageException("--max-steps is at least 1");

        var started = TimeProvider.System.GetUtcNow();
        var folder = Path.Combine(Installation.Home, "data", "demo", started.ToString("yyyyMMdd-HHmmss", System.Globalization.CultureInfo.InvariantCulture));
        Directory.CreateDirectory(folder);
        var report = await new DemoPipeline(model, data, folder, maxSteps, new DemoConsole()).RunAsync(cancellationToken);

        if (json is null) DemoConsole.WriteSummary(report);
        else if (json.Length == 0) Console.Out.WriteLine(Json.Serialize(report));
        else
        {
            await File.WriteAllTextAsync(json, Json.Serialize(report), cancellationToken);
            DemoConsole.WriteSummary(report);
        }
        return CommandLineHost.Done;
    }
}
