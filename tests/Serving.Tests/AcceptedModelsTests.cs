using System.Diagnostics;
using System.Text.Json.Nodes;
using TokenMill.Shared;
using TokenMill.Shared.Formats;
using TokenMill.Testing;

namespace TokenMill.Serving.Tests;

/// <summary>What our checks let through must not end the native loader: each file in a process of its own, loaded and computed with.</summary>
public sealed class AcceptedModelsTests(ITestOutputHelper output) : IDisposable
{
    private readonly string _scratch = Directory.CreateTempSubdirectory("tokenmill-").FullName;

    public void Dispose() => Directory.Delete(_scratch, recursive: true);

    [Fact]
    public async Task Mutations_ThatAreAccepted_SurviveTheNativeLoader()
    {
        var cases = Path.Combine(_scratch, "cases.jsonl");
        await File.WriteAllTextAsync(cases, """{"ids": [1, 2, 3, 4]}""" + "\n", TestContext.Current.CancellationToken);
        var died = new List<string>();
        var accepted = 0;
        foreach (var (what, bytes) in Mutations().DistinctBy(m => Convert.ToHexString(m.Bytes)))
        {
            var path = Path.Combine(_scratch, "mutation.gguf");
            await File.WriteAllBytesAsync(path, bytes, TestContext.Current.CancellationToken);
            if (!ModelInspector.Inspect(path).Accepted) continue;
            accepted++;
            var exit = await RunAsync("logits", path, "--cases", cases, "--threads", "1");
            if (exit is not (0 or 1)) died.Add($"{what}: exit code {exit}");
        }
        output.WriteLine($"{accepted} accepted");
        Assert.InRange(accepted, 10, 100);
        Assert.True(died.Count == 0, string.Join("\n", died));
    }

    private static IEnumerable<(string What, byte[] Bytes)> Mutations()
    {
        var folder = Reference.Locate("golden/inputs");
        foreach (var mutation in File.ReadLines(Path.Combine(folder, "mutations.jsonl")).Select(l => JsonNode.Parse(l)!).Where(m => (string)m["expect"]! == "any"))
        {
            var bytes = File.ReadAllBytes(Path.Combine(folder, (string)mutation["base"]!));
            foreach (var patch in mutation["patches"]!.AsArray()) Convert.FromHexString((string)patch![1]!).CopyTo(bytes, (int)patch[0]!);
            yield return ((string)mutation["what"]!, bytes);
        }
    }

    private static async Task<int> RunAsync(params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [Installation.Program("Serving"), .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["TOKENMILL_HOME"] = Reference.Repository;
        using var process = Process.Start(start)!;
        var outputs = Task.WhenAll(process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        await outputs;
        return process.ExitCode;
    }
}
