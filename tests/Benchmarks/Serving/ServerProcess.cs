using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using TokenMill.Shared;
using TokenMill.Shared.Domain;

namespace TokenMill.Benchmarks.Serving;

/// <summary>A server started for a case, ours or the peer's, and stopped behind it.</summary>
internal sealed class ServerProcess : IDisposable
{
    private const int Parallel = 16;
    private readonly Process _process;

    private ServerProcess(Process process, Contender contender) => (_process, Contender) = (process, contender);

    public Contender Contender { get; }

    public static async Task<ServerProcess> OursAsync(string model, int contextTokens, IReadOnlyList<string> adapters, params string[] more)
    {
        var start = new ProcessStartInfo("dotnet",
        [
            Installation.Program("Serving"), "serve", model, "--port", "0", "--context", $"{contextTokens}", "--parallel", $"{Parallel}", "--parent-pipe",
            .. adapters.SelectMany((path, i) => new[] { "--adapter", $"adapter-{i}={path}" }), .. more,
        ]) { RedirectStandardOutput = true, RedirectStandardInput = true };
        var process = Process.Start(start)!;
        while (await process.StandardOutput.ReadLineAsync() is { } line)
            if (JsonNode.Parse(line) is JsonObject report && (string?)report["type"] == "ready")
                return new ServerProcess(process, new Contender("TokenMill", new Uri((string)report["url"]!), Path.GetFileNameWithoutExtension(model), (body, number) => body["model"] = $"adapter-{number}"));
        throw new RefusedException("server-failed", "our server ended before it was ready", "start it by hand: ./run serve");
    }

    public static async Task<ServerProcess> PeerAsync(string program, string model, int contextTokens, IReadOnlyList<string> adapters)
    {
        var port = FreePort();
        var start = new ProcessStartInfo(program,
        [
            "-m", model, "--port", $"{port}", "-c", $"{contextTokens}", "-np", $"{Parallel}", "--kv-unified", "-t", $"{Environment.ProcessorCount}",
            .. adapters.Count == 0 ? Array.Empty<string>() : ["--lora", string.Join(',', adapters), "--lora-init-without-apply"],
        ]) { RedirectStandardOutput = true, RedirectStandardError = true };
        var process = Process.Start(start)!;
        process.OutputDataReceived += (_, _) => { };           // read, so that it never waits for a reader
        process.ErrorDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        var address = new Uri($"http://127.0.0.1:{port}");
        using var http = new HttpClient { BaseAddress = address };
        while (!process.HasExited)
        {
            if (await IsReadyAsync(http))
                return new ServerProcess(process, new Contender("llama-server", address, "model", (body, number) => body["lora"] = new JsonArray(new JsonObject { ["id"] = number, ["scale"] = 1 })));
            await Task.Delay(100);
        }
        throw new RefusedException("peer-failed", $"{program} ended with {process.ExitCode} before it was ready", "run it by hand");
    }

    public void Dispose()
    {
        Contender.Dispose();
        if (!_process.HasExited) _process.Kill(entireProcessTree: true);
        _process.WaitForExit();
        _process.Dispose();
    }

    private static async Task<bool> IsReadyAsync(HttpClient http)
    {
        try
        {
            using var response = await http.GetAsync("/health");
            return response.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;                                      // it does not listen yet
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
