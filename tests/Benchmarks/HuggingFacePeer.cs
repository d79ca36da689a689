using System.Diagnostics;
using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;

namespace TokenMill.Benchmarks;

/// <summary>Hugging Face + PEFT as its users run it (../shared/peers/sft_peer.py), a process of its own.</summary>
internal static class HuggingFacePeer
{
    private const string Script = "../shared/peers/sft_peer.py";

    public static async Task<Measured> RunAsync(string model, string data, TrainingCase work, int steps)
    {
        var packages = Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache", "hf");
        var script = Path.GetFullPath(Script);
        if (!File.Exists(script) || !Directory.Exists(packages)) throw new RefusedException("peer-missing", $"{script} or its packages in {packages} are not there", "unpack the peers as their README says");
        var start = new ProcessStartInfo("python3.11", [script, model, data, "--dtype", work.Type, "--batch", $"{work.Batch}", "--steps", $"{steps}", "--max-length", $"{work.MaxLength}", .. work.FullRows ? ["--full-rows", $"{work.MaxLength}"] : Array.Empty<string>()])
        {
            RedirectStandardOutput = true, RedirectStandardError = true,
        };
        start.Environment["PYTHONPATH"] = packages;
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        if (process.ExitCode != 0) throw new RefusedException("peer-failed", $"the peer ended with {process.ExitCode}: {(await error).Split('\n', StringSplitOptions.RemoveEmptyEntries).LastOrDefault()}", "run it by hand");
        var result = JsonNode.Parse(output.Split('\n', StringSplitOptions.RemoveEmptyEntries)[^1])!;
        return new Measured((double)result["useful_tokens_per_second"]!, (double)result["peak_memory_bytes"]!);
    }
}
