using System.Diagnostics;
using TokenMill.Shared;
using TokenMill.Testing;
using TokenMill.Training.Tests.Peers;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Tests.Torch;

/// <summary>The binding built against another libtorch (TOKENMILL_LIBTORCH, else PyTorch's unpacked beside the peers) trains to the same goldens.</summary>
public sealed class OtherLibtorchTests(ITestOutputHelper output)
{
    [Fact]
    public async Task AnotherLibtorch_BuildsTheBindingAndPassesTheGoldens()
    {
        var cancellationToken = TestContext.Current.CancellationToken;
        var torch = Environment.GetEnvironmentVariable("TOKENMILL_LIBTORCH") is { Length: > 0 } named
            ? named
            : Path.Combine(await HuggingFacePeer.StackAsync(cancellationToken), "torch");
        Reference.Locate("golden/families");

        // Kept between runs: compiling takes half a minute.
        var native = Path.Combine(Reference.Repository, ".build", "other-libtorch");
        var binding = Path.Combine(native, "torch", "libtokenmill_torch.so");
        string[] sources = [Path.Combine(Reference.Repository, "src", "Training", "Torch", "Shim"), Path.Combine(Reference.Repository, "src", "Shared", "Kernels")];
        if (!File.Exists(binding) || sources.SelectMany(Directory.GetFiles).Any(file => File.GetLastWriteTimeUtc(file) > File.GetLastWriteTimeUtc(binding)))
            await RunAsync("bash", [Path.Combine(sources[0], "build.sh"), binding], new() { ["TOKENMILL_LIBTORCH"] = torch }, cancellationToken);
        var llama = Path.Combine(native, "llama");
        if (!Directory.Exists(llama)) Directory.CreateSymbolicLink(llama, Installation.Llama);

        var program = Path.Combine(AppContext.BaseDirectory, "TokenMill.Training.Tests");
        var report = await RunAsync(program, ["-noColor", "-showLiveOutput", "-method", "*Libtorch_NamesItsVersion", "-method", "*Family_Lora_AgreesWithPeft", "-method", "*AllWeights_TiedMatrixGetsBothGradients*", "-method", "*LibtorchOperatorTests.Family*", "-method", "*LibtorchOperatorTests.Resume*"], new() { ["TOKENMILL_NATIVE"] = native }, cancellationToken);
        output.WriteLine(report);
        Assert.Contains("libtorch 2.", report, StringComparison.Ordinal);
        Assert.Contains("Failed: 0, Skipped: 0", report, StringComparison.Ordinal);
    }

    [Fact]
    public void Libtorch_NamesItsVersion()
    {
        var runtime = TorchRuntime.Describe();
        output.WriteLine($"libtorch {runtime.Torch}, kernels {runtime.Kernels}");
        Assert.Matches(@"^[12]\.\d+", runtime.Torch);
    }

    private static async Task<string> RunAsync(string program, string[] arguments, Dictionary<string, string> environment, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in environment) start.Environment[name] = value;
        using var process = Process.Start(start)!;
        await using var killed = cancellationToken.Register(() => process.Kill(entireProcessTree: true));
        var error = process.StandardError.ReadToEndAsync(cancellationToken);
        var text = await process.StandardOutput.ReadToEndAsync(cancellationToken);
        await process.WaitForExitAsync(cancellationToken);
        Assert.True(process.ExitCode == 0, $"{Path.GetFileName(program)} ended with {process.ExitCode}: {text}{await error}");
        return text;
    }
}
