using System.Text;
using TokenMill.Shared;
using TokenMill.Shared.CommandLine;
using TokenMill.Shared.Formats;

namespace TokenMill.Web.Commands;

/// <summary><c>inspect</c>: what a model file, folder or adapter is; broken and hostile ones are refused.</summary>
public static class InspectCommand
{
    public static Command Command { get; } = new("inspect", "inspect MODEL [--base MODEL] [--json [FILE]]", RunAsync);

    private static async Task<int> RunAsync(Arguments arguments, CancellationToken cancellationToken)
    {
        var model = arguments.Positional("MODEL");
        var basePath = arguments.Option("--base");
        var json = arguments.Json();
        arguments.End();

        var inspection = ModelInspector.Inspect(model, basePath);
        if (json is { Length: > 0 }) await File.WriteAllTextAsync(json, Json.Serialize(inspection) + "\n", cancellationToken);
        else await Console.Out.WriteLineAsync(json is null ? Describe(model, inspection) : Json.Serialize(inspection));
        foreach (var error in inspection.Errors) await Console.Error.WriteLineAsync($"error: {error.Code}: {error.Message.ReplaceLineEndings(" ")}");
        return inspection.Accepted ? CommandLineHost.Done : CommandLineHost.Refused;
    }

    private static string Describe(string model, ModelInspection inspection)
    {
        var text = new StringBuilder();
        void Line(string name, object? value)
        {
            if (value is not null) text.Append(name.PadRight(16)).Append(value).Append('\n');
        }

        Line("model", Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(model))));
        Line("kind", inspection.Kind);
        Line("architecture", inspection.Architecture);
        Line("parameters", inspection.Parameters?.ToString("N0"));
        Line("types", inspection.Types is { } types ? string.Join(", ", types.OrderByDescending(t => t.Value).Select(t => $"{t.Key} ({t.Value} tensors)")) : null);
        Line("context", inspection.ContextLength is { } context ? $"{context:N0} tokens" : null);
        Line("vocabulary", inspection.Vocabulary is { } vocabulary ? $"{vocabulary:N0} tokens" : null);
        if (inspection.Vocabulary is not null) Line("chat template", inspection.ChatTemplate ? "yes" : "no");
        Line("rank", inspection.Rank);
        Line("alpha", inspection.Alpha);
        Line("licence", inspection.Licence);
        Line("trainable", Answer(inspection.Trainable));
        Line("servable", Answer(inspection.Servable));
        Line("accepted", inspection.Accepted ? "yes" : "no");
        foreach (var warning in inspection.Warnings) Line("warning", $"{warning.Code}: {(warning.Field is null ? "" : warning.Field + ": ")}{warning.Message}");
        return text.ToString().TrimEnd('\n');
    }

    private static string Answer(Ability ability) => $"{(ability.Yes ? "yes" : "no")}: {ability.Why}";
}
