using System.Diagnostics;
using System.Text.Json.Nodes;
using TokenMill.Serving.Host;
using TokenMill.Serving.Llama;
using TokenMill.Serving.Tests.Host;

namespace TokenMill.Serving.Tests.Conformance;

/// <summary>OpenAI's own package for JavaScript against a server. ./test fetches it; the checks are in openai-npm.cjs.</summary>
public sealed class OpenAiNpmTests(ITestOutputHelper output)
{
    [Fact]
    public async Task EveryCheckOfTheNpmPackage_Passes()
    {
        var package = Path.Combine(TokenMill.Shared.Installation.Native, "openai");
        if (!File.Exists(Path.Combine(package, "index.js"))) Assert.Skip("the npm package openai is not there: ./run setup --tests fetches it");
        if (!Exists("node")) Assert.Skip("there is no node");
        await using var server = await TestServer.StartAsync(Models.Family("llama-tied"), new LlamaExecutorOptions { ContextTokens = 8192 }, secret: "sk-test", adapters: new NamedAdapter("tuned", Models.Family("llama-tied", "lora/adapter_final.gguf")));
        var script = Path.Combine(TokenMill.Shared.Installation.Home, "tests", "Serving.Tests", "Conformance", "openai-npm.cjs");
        using var node = Process.Start(new ProcessStartInfo("node", [script, package, new Uri(server.Address, "/v1").ToString(), "sk-test"]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var (lines, errors) = (node.StandardOutput.ReadToEndAsync(), node.StandardError.ReadToEndAsync());
        await node.WaitForExitAsync();
        var checks = (await lines).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => JsonNode.Parse(l)!).ToList();
        var failed = checks.Where(c => c["error"] is not null).Select(c => $"{c["name"]}: {c["error"]}").ToList();
        output.WriteLine($"{checks.Count - failed.Count} of {checks.Count} checks");
        Assert.True(node.ExitCode == 0 && failed.Count == 0, string.Join('\n', failed) + await errors);
        Assert.True(checks.Count >= 40, $"only {checks.Count} checks were run");
    }

    private static bool Exists(string command) => Environment.GetEnvironmentVariable("PATH")!.Split(Path.PathSeparator).Any(folder => File.Exists(Path.Combine(folder, command)));
}
