using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using TokenMill.Shared;

namespace TokenMill.Serving.Tests.Host;

/// <summary>The program itself, as a parent process meets it.</summary>
public sealed class ServeProcessTests
{
    [Fact]
    public async Task Serve_ParentsPipeCloses_Ends()
    {
        using var child = Start("serve", Models.Family("llama-tied"), "--port", "0", "--threads", "1", "--parent-pipe");
        var ready = await ReadUntilAsync(child, "ready");
        using (var client = new HttpClient()) Assert.Contains("ok", await client.GetStringAsync($"{ready["url"]}/health"), StringComparison.Ordinal);
        child.StandardInput.Close();
        await child.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(5));
        Assert.Equal(0, child.ExitCode);
    }

    [Fact]
    public async Task Serve_WithoutParentPipe_OutlivesItsInput()
    {
        using var child = Start("serve", Models.Family("llama-tied"), "--port", "0", "--threads", "1");
        var ready = await ReadUntilAsync(child, "ready");
        child.StandardInput.Close();
        await Task.Delay(300);
        using (var client = new HttpClient()) Assert.Contains("ok", await client.GetStringAsync($"{ready["url"]}/health"), StringComparison.Ordinal);
        using var kill = Process.Start("kill", ["-TERM", child.Id.ToString()]);
        await child.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(10));
        Assert.Equal(130, child.ExitCode);
    }

    [Fact]
    public async Task Serve_BrokenModel_SaysFailedInOneLine()
    {
        var path = Models.TemporaryPath();
        await File.WriteAllBytesAsync(path, File.ReadAllBytes(Models.Family("llama-tied"))[..20_000]);
        try
        {
            using var child = Start("serve", path, "--port", "0");
            var failed = await ReadUntilAsync(child, "failed");
            await child.WaitForExitAsync();
            Assert.Equal(1, child.ExitCode);
            Assert.Equal(["type", "code", "message", "remedy"], failed.AsObject().Select(p => p.Key));
            Assert.StartsWith($"error: {failed["code"]}: ", await child.StandardError.ReadToEndAsync(), StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public async Task Serve_PortTaken_SaysSo()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        using var child = Start("serve", Models.Family("llama-tied"), "--threads", "1", "--port", ((IPEndPoint)taken.LocalEndpoint).Port.ToString());
        Assert.Equal("port-taken", (await ReadUntilAsync(child, "failed"))["code"]!.ToString());
        await child.WaitForExitAsync();
        Assert.Equal(1, child.ExitCode);
    }

    [Fact]
    public async Task Serve_NativeCodeEndsTheProcess_StillSaysFailed()
    {
        for (var attempt = 0; attempt < 5; attempt++)
        {
            using var child = Start("serve", Models.SmolLm2, "--port", "0", "--threads", "1");
            await ReadUntilAsync(child, "loading");
            child.Kill();
            List<string> rest = [];
            while (await child.StandardOutput.ReadLineAsync() is { } line) rest.Add(line);
            if (rest.Exists(l => l.Contains("\"ready\"", StringComparison.Ordinal))) continue;   // it was faster than the kill
            Assert.Contains("native-crash", rest[^1], StringComparison.Ordinal);
            return;
        }
        Assert.Fail("the process was ready before it could be killed, five times");
    }

    [Theory]
    [InlineData("serve")]
    [InlineData("serve", "MODEL", "--parallel", "0")]
    [InlineData("serve", "MODEL", "--kv-type", "q3")]
    [InlineData("serve", "MODEL", "--adapter", "nameless")]
    [InlineData("serve", "MODEL", "--port", "99999")]
    [InlineData("serve", "MODEL", "--bogus")]
    public async Task Serve_WrongWords_IsWrongUsage(params string[] words)
    {
        using var child = Start([.. words.Select(w => w == "MODEL" ? Models.Family("llama-tied") : w)]);
        await child.WaitForExitAsync();
        Assert.Equal(2, child.ExitCode);
        Assert.StartsWith("error: wrong-usage: ", await child.StandardError.ReadToEndAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Logits_Command_GivesOneAnswerPerCase()
    {
        var cases = Path.GetTempFileName();
        await File.WriteAllLinesAsync(cases, ["""{"ids":[5,6,7,8]}""", """{"ids":[9]}"""]);
        using var child = Start("logits", Models.Family("llama-tied"), "--engine", "server", "--threads", "1", "--cases", cases, "--greedy", "6", "--ignore-eos", "--adapter", Models.Family("llama-tied", "lora/adapter_final.gguf"));
        var lines = (await child.StandardOutput.ReadToEndAsync()).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => JsonNode.Parse(l)!).ToList();
        File.Delete(cases);
        Assert.Equal([3, 0], lines.Select(l => l["next_token_logprob"]!.AsArray().Count));
        Assert.All(lines, l => Assert.Equal((50, 50, 6), (l["last_top50_ids"]!.AsArray().Count, l["last_top50_logits"]!.AsArray().Count, l["greedy"]!.AsArray().Count)));
        Assert.All(lines, l => Assert.Equal(l["last_top50_ids"]![0]!.GetValue<int>(), l["greedy"]![0]!.GetValue<int>()));
    }

    [Fact]
    public async Task Tokenize_Stdio_AnswersEachLine()
    {
        using var child = Start("tokenize", Models.Family("llama-tied"), "--stdio");
        List<string> requests = ["""{"id":1,"text":"Hello world"}""", "nonsense", """{"id":"a","messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"}]}""", """{"id":2,"text":"\ud800"}"""];
        List<JsonNode> answers = [];
        foreach (var request in requests)
        {
            await child.StandardInput.WriteLineAsync(request);
            answers.Add(JsonNode.Parse((await child.StandardOutput.ReadLineAsync())!)!);
        }
        child.StandardInput.Close();
        await child.WaitForExitAsync();
        Assert.Equal(0, child.ExitCode);
        Assert.NotEmpty(answers[0]["ids"]!.AsArray());
        Assert.Equal("invalid-json", answers[1]["error"]!["code"]!.ToString());
        Assert.True(answers[2]["supervised"]!.GetValue<int>() is > 0 and var learned && learned < answers[2]["tokens"]!.GetValue<int>());
        Assert.Equal(("2", "invalid-text"), (answers[3]["id"]!.ToString(), answers[3]["error"]!["code"]!.ToString()));
    }

    private static Process Start(params string[] words) => Process.Start(new ProcessStartInfo("dotnet", [Installation.Program("Serving"), .. words])
    {
        RedirectStandardInput = true,
        RedirectStandardOutput = true,
        RedirectStandardError = true,
    })!;

    private static async Task<JsonNode> ReadUntilAsync(Process child, string type)
    {
        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (await child.StandardOutput.ReadLineAsync(timeout.Token) is { } line)
            if (JsonNode.Parse(line) is { } node && node["type"]?.ToString() == type) return node;
        throw new InvalidOperationException($"no {type} line: {await child.StandardError.ReadToEndAsync(timeout.Token)}");
    }
}
