using System.Diagnostics;
using System.Text.Json.Nodes;
using TokenMill.Serving.Llama;
using TokenMill.Shared;
using TokenMill.Shared.Domain;

namespace TokenMill.Benchmarks.Serving;

/// <summary>llama-server and llama-bench of ../shared/peers, unpacked into the user's cache, with the CPU plugin that our engine takes and no other.</summary>
internal sealed class LlamaPeer
{
    private const string Archive = "../shared/peers/llama-server.tar.xz";
    private readonly string _folder;

    private LlamaPeer(string folder) => _folder = folder;

    public string Server => Path.Combine(_folder, "llama-server");

    /// <summary>Null, with a line that says so, where the archive is absent.</summary>
    public static async Task<LlamaPeer?> FindAsync()
    {
        var archive = Path.GetFullPath(Path.Combine(Installation.Home, Archive));
        if (!File.Exists(archive))
        {
            Console.WriteLine($"{archive} is not there: measured without a peer");
            return null;
        }
        var plugin = CpuPlugin.Choose(Installation.Llama, Path.Combine(Installation.Cache, "benchmark-cpu-plugin.json"));
        var folder = Path.Combine(Installation.Cache, "llama-server");
        Directory.CreateDirectory(folder);
        await RunAsync("tar", ["xJf", archive, "-C", folder]);
        foreach (var other in Directory.GetFiles(folder, "libggml-cpu-*.so")) File.Delete(other);
        File.Copy(plugin, Path.Combine(folder, Path.GetFileName(plugin)));
        Console.WriteLine($"both with {Path.GetFileName(plugin)}");
        return new LlamaPeer(folder);
    }

    /// <summary>Tokens per second of the bare library, without a server: a prompt of that many tokens, or an answer.</summary>
    public async Task<double> BenchAsync(string model, int promptTokens, int answerTokens)
    {
        var result = await RunAsync(Path.Combine(_folder, "llama-bench"), ["-m", model, "-t", $"{Environment.ProcessorCount}", "-p", $"{promptTokens}", "-n", $"{answerTokens}", "-r", "1", "-o", "json"]);
        return (double)JsonNode.Parse(result)![0]!["avg_ts"]!;
    }

    private static async Task<string> RunAsync(string program, IEnumerable<string> arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var error = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return process.ExitCode == 0 ? output : throw new RefusedException("peer-failed", $"{program} ended with {process.ExitCode}: {(await error).Split('\n', StringSplitOptions.RemoveEmptyEntries).LastOrDefault()}", "run it by hand");
    }
}
