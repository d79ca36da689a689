using System.Diagnostics;
using TokenMill.Serving.Llama;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Llama;
using TokenMill.Testing;

namespace TokenMill.Serving.Tests.Llama;

public sealed class CpuPluginTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("plugins-");

    private string Cache => Path.Combine(_folder.FullName, "cache", "cpu-plugin.json");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void Choose_PluginsThatCrash_TakesTheNextOne()
    {
        Plant("score-crashes", "int ggml_backend_score(void) { __builtin_trap(); return 1; }");
        Plant("compute-crashes", "int ggml_backend_score(void) { return 1000000; } void *ggml_backend_init(void) { __builtin_trap(); return 0; }");
        Plant("is-nothing", "int ggml_backend_score(void) { return 999999; }");
        File.WriteAllText(Path.Combine(_folder.FullName, "libggml-cpu-no-library.so"), "not a library");
        Link("x64");
        Link("sse42");

        var chosen = CpuPlugin.Choose(_folder.FullName, Cache);
        Assert.Equal(Path.Combine(_folder.FullName, "libggml-cpu-sse42.so"), chosen);

        // The choice is remembered: the second time nothing is tried.
        var clock = Stopwatch.StartNew();
        Assert.Equal(chosen, CpuPlugin.Choose(_folder.FullName, Cache));
        Assert.True(clock.Elapsed < TimeSpan.FromMilliseconds(100), $"{clock.Elapsed} is the time of a child process");

        // Another content under the same name is another plugin.
        File.Delete(chosen);
        File.Copy(Path.Combine(LlamaLibrary.FolderPath, "libggml-cpu-x64.so"), chosen);
        CpuPlugin.Choose(_folder.FullName, Cache);
        Assert.True(clock.Elapsed > TimeSpan.FromMilliseconds(100));
    }

    [Fact]
    public void Choose_NothingWorks_SaysSo()
    {
        Plant("compute-crashes", "int ggml_backend_score(void) { return 5; } void *ggml_backend_init(void) { __builtin_trap(); return 0; }");
        Assert.Equal("no-cpu-plugin", Assert.Throws<RefusedException>(() => CpuPlugin.Choose(_folder.FullName, Cache)).Error.Code);
        Assert.Equal("llama-missing", Assert.Throws<RefusedException>(() => CpuPlugin.Choose(Path.Combine(_folder.FullName, "nowhere"), Cache)).Error.Code);
    }

    [Fact]
    public void Choose_CacheUnreadable_ChoosesAnew()
    {
        Link("x64");
        Directory.CreateDirectory(Path.GetDirectoryName(Cache)!);
        File.WriteAllText(Cache, "{half");
        Assert.EndsWith("libggml-cpu-x64.so", CpuPlugin.Choose(_folder.FullName, Cache), StringComparison.Ordinal);
    }

    private void Link(string variant)
    {
        var plugin = Path.Combine(LlamaLibrary.FolderPath, $"libggml-cpu-{variant}.so");
        Reference.Require(File.Exists(plugin), $"{plugin} is missing: ./run setup");
        File.CreateSymbolicLink(Path.Combine(_folder.FullName, Path.GetFileName(plugin)), plugin);
    }

    private void Plant(string name, string code)
    {
        Reference.Require(File.Exists("/usr/bin/g++"), "no compiler");
        var source = Path.Combine(_folder.FullName, name + ".cpp");
        File.WriteAllText(source, $"extern \"C\" {{ {code} }}");
        using var compiler = Process.Start("/usr/bin/g++", ["-shared", "-fPIC", "-o", Path.Combine(_folder.FullName, $"libggml-cpu-{name}.so"), source]);
        compiler.WaitForExit();
        Assert.Equal(0, compiler.ExitCode);
    }
}
