using System.Diagnostics;
using System.Text.Json.Nodes;
using TokenMill.EndToEnd.Tests.Faults;
using TokenMill.Testing;

namespace TokenMill.EndToEnd.Tests.Families;

/// <summary>A tuned model of every family, imported and exported by command, computes in llama.cpp what Hugging Face computes: merged, and with its adapter beside it.</summary>
public sealed class ServedFamilyTests(ITestOutputHelper output) : IDisposable
{
    private readonly string _scratch = Directory.CreateTempSubdirectory("served").FullName;

    public void Dispose() => Directory.Delete(_scratch, recursive: true);

    [Theory]
    [InlineData("llama-tied")]
    [InlineData("llama-untied")]
    [InlineData("mistral")]
    [InlineData("qwen2")]
    [InlineData("qwen3")]
    [InlineData("gemma3", 2e-2)]            // ggml's GELU goes through a half-precision table
    [InlineData("phi3")]
    [InlineData("smollm3")]
    public async Task Exports_InLlamaCpp_AgreeWithHuggingFace(string family, double tolerance = 1e-3)
    {
        string Golden(string name) => Reference.Locate($"golden/families/{family}/{name}");
        string Scratch(string name) => Path.Combine(_scratch, name);
        var after = JsonNode.Parse(await File.ReadAllTextAsync(Golden("lora/lora.json"), TestContext.Current.CancellationToken))!["after"]!;
        var adapter = Directory.CreateDirectory(Scratch("peft")).FullName;
        File.Copy(Golden("lora/adapter_config.json"), Path.Combine(adapter, "adapter_config.json"));
        File.Copy(Golden("lora/adapter_final.safetensors"), Path.Combine(adapter, "adapter_model.safetensors"));
        await File.WriteAllTextAsync(Scratch("cases.jsonl"), new JsonObject { ["ids"] = after["input_ids"]!.DeepClone() }.ToJsonString() + "\n", TestContext.Current.CancellationToken);

        await RunAsync("Training", "import", Golden("hf"), Scratch("model.gguf"), "--type", "F32");
        await RunAsync("Training", "export", Scratch("model.gguf"), "--adapter", adapter, "--format", "gguf", "--type", "F32", "--out", Scratch("merged.gguf"));
        await RunAsync("Training", "export", Scratch("model.gguf"), "--adapter", adapter, "--format", "gguf-lora", "--out", Scratch("adapter.gguf"));
        var expected = after["merged_last_logits"]!.AsArray().Select(value => (double)value!).ToArray();
        var merged = Worst(expected, await RunAsync("Serving", "logits", Scratch("merged.gguf"), "--cases", Scratch("cases.jsonl")));
        var beside = Worst(expected, await RunAsync("Serving", "logits", Scratch("model.gguf"), "--adapter", Scratch("adapter.gguf"), "--cases", Scratch("cases.jsonl")));
        output.WriteLine($"{family}: worst logit in llama.cpp, merged {merged:E1}, adapter {beside:E1}");
        Assert.True(merged < tolerance && beside < tolerance);
        Assert.True(File.Exists(Scratch("Modelfile")));
    }

    private static double Worst(double[] expected, string answer)
    {
        var scores = JsonNode.Parse(answer)!;
        var ids = scores["last_top50_ids"]!.AsArray().Select(id => (int)id!);
        return ids.Zip(scores["last_top50_logits"]!.AsArray(), (id, logit) => Math.Abs((double)logit! - expected[id])).Max();
    }

    private static async Task<string> RunAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo("dotnet", [PlatformProcess.Program(program), .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        var text = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(process.ExitCode == 0, await errors);
        return text;
    }
}
