using Spectre.Console;

namespace TokenMill.Web.Commands.Demo;

/// <summary>What a person sees while the demo runs: on stderr, so that stdout holds the result alone.</summary>
internal sealed class DemoConsole
{
    private readonly IAnsiConsole _console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });

    public void Heading(string text) => _console.MarkupLineInterpolated($"[bold]{text}[/]");

    public void Line(string text) => _console.WriteLine(text.Length == 0 ? "" : "  " + text);

    public void Question(string text)
    {
        _console.MarkupLineInterpolated($"  [grey]>[/] {text}");
        _console.Write("  ");
    }

    public void Piece(string text) => _console.Write(text);

    /// <summary>A progress bar; <c>report(done, total, note)</c> moves it.</summary>
    public async Task<T> ProgressAsync<T>(string name, Func<Action<int, int, string>, CancellationToken, Task<T>> work, CancellationToken cancellationToken) =>
        await _console.Progress().AutoClear(false)
            .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn())
            .StartAsync(async context =>
            {
                var task = context.AddTask("  " + name, maxValue: 1);
                var result = await work((done, total, note) =>
                {
                    task.MaxValue = total;
                    task.Value = done;
                    task.Description = Markup.Escape($"  {name}: {note}");
                }, cancellationToken);
                task.Value = task.MaxValue;
                return result;
            });

    /// <summary>The result in a few lines, on stdout.</summary>
    public static void WriteSummary(DemoReport report)
    {
        var (train, evaluation) = (report.Train, report.Evaluation);
        var table = new Table().Border(TableBorder.Simple).AddColumn("").AddColumn(new TableColumn("base").RightAligned()).AddColumn(new TableColumn("tuned").RightAligned());
        table.AddRow("validation loss", $"{train.ValidationBefore:0.000}", $"{train.ValidationAfter:0.000}");
        foreach (var (metric, value) in evaluation.Base) table.AddRow(metric, $"{value:0.000}", $"{evaluation.Tuned[metric]:0.000}");
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Out) });
        console.Write(table);
        console.WriteLine($"trained     {train.Steps} steps, {train.TokensPerSecond:0} tokens/s, peak memory {train.PeakMemoryBytes / 1e9:0.0} GB");
        if (report.Chat.Count > 0)
            console.WriteLine($"served      first token {report.Chat.Average(c => c.TtftMs):0} ms, then {report.Chat.Average(c => c.TpotMs):0.0} ms a token");
        console.WriteLine($"parity      {report.Deployment.ParityMeanLogprobDifference:0.0000} mean, {report.Deployment.ParityMaxLogprobDifference:0.000} max over {report.Deployment.ParityTokens} tokens");
        console.WriteLine($"adapter     {report.Artifacts.Adapter}");
        console.WriteLine($"            {report.Artifacts.AdapterGguf}");
        console.WriteLine($"merged      {report.Artifacts.MergedGguf}");
        console.WriteLine($"total       {report.Seconds:0} s");
    }
}
