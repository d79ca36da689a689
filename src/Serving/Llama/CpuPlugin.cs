using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using TokenMill.Serving.Llama.Native;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Llama;

namespace TokenMill.Serving.Llama;

/// <summary>
/// Chooses ggml's CPU plugin. There is one per generation of CPUs, each says how well it suits this one; but a plugin can be
/// wrong about that and die of an illegal instruction. So each is asked, and the best is made to compute, in a child process;
/// if the child dies, the next one is taken. The choice is remembered per machine, set of plugins and content of the chosen file.
/// </summary>
internal static class CpuPlugin
{
    public const string ChildVerb = "probe-cpu";

    private static readonly Lock Gate = new();
    private static bool _loaded;
    private static string? _plugin;

    /// <summary>What results measured on this machine depend on: its processor, llama.cpp's version and the chosen plugin.</summary>
    public static string Fingerprint => $"{Machine(_plugin is null ? [] : [_plugin])} {Environment.ProcessorCount}";

    private sealed record Choice(string Machine, string Plugin, string Sha256);

    /// <summary>Loads llama.cpp with the chosen plugin, once per process.</summary>
    /// <exception cref="RefusedException">llama-missing; no-cpu-plugin: every plugin failed.</exception>
    public static void Load()
    {
        lock (Gate)
        {
            if (_loaded) return;
            LoadOnly(Choose(LlamaLibrary.FolderPath, CachePath));
            _loaded = true;
        }
    }

    /// <summary>Loads llama.cpp with this plugin.</summary>
    public static void LoadOnly(string pluginPath)
    {
        _plugin = pluginPath;
        LlamaLibrary.LoadFor(typeof(CpuPlugin).Assembly);
        EngineNative.llama_backend_init();
        if (EngineNative.ggml_backend_load(pluginPath) == 0)
            throw new RefusedException("no-cpu-plugin", $"{Path.GetFileName(pluginPath)} does not load: {LlamaLog.Errors()}", "type ./run setup to fetch llama.cpp's libraries again");
        _loaded = true;
    }

    /// <summary>How well a plugin says it suits this CPU; 0: not at all. May end the process.</summary>
    public static unsafe int Score(string pluginPath)
    {
        LlamaLibrary.Load();
        if (!NativeLibrary.TryLoad(pluginPath, out var plugin) || !NativeLibrary.TryGetExport(plugin, "ggml_backend_score", out var score)) return 0;
        return ((delegate* unmanaged[Cdecl]<int>)score)();
    }

    /// <summary>The best plugin of a folder that survives its trial.</summary>
    internal static string Choose(string folder, string cachePath)
    {
        var plugins = Directory.Exists(folder) ? Directory.GetFiles(folder, "libggml-cpu-*.so").Order(StringComparer.Ordinal).ToArray() : [];
        if (plugins.Length == 0) throw new RefusedException("llama-missing", $"there are no CPU plugins in {folder}", "type ./run setup once, or set TOKENMILL_NATIVE to the folder that holds llama/");
        var machine = Machine(plugins);
        if (ReadChoice(cachePath) is { } known && known.Machine == machine && plugins.Contains(known.Plugin) && Hash(known.Plugin) == known.Sha256) return known.Plugin;

        foreach (var (plugin, _) in Scores(plugins).Where(s => s.Score > 0).OrderByDescending(s => s.Score))
        {
            if (RunChild([ChildVerb, "compute", plugin]).ExitCode != 0) continue;
            WriteChoice(cachePath, new Choice(machine, plugin, Hash(plugin)));
            return plugin;
        }
        throw new RefusedException("no-cpu-plugin", $"none of the {plugins.Length} CPU plugins of llama.cpp works on this machine", "report the CPU's model; it needs at least SSE 4.2");
    }

    private static string CachePath => Path.Combine(
        Environment.GetEnvironmentVariable("TOKENMILL_CACHE") ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify), "tokenmill"),
        "cpu-plugin.json");

    /// <summary>One child asks all; where it dies, the plugin it was at is left out and another child goes on behind it.</summary>
    private static List<(string Plugin, int Score)> Scores(IReadOnlyList<string> plugins)
    {
        var scores = new List<(string, int)>();
        for (var next = 0; next < plugins.Count;)
        {
            var (exitCode, output) = RunChild([ChildVerb, "score", .. plugins.Skip(next)]);
            var lines = output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
            foreach (var line in lines) scores.Add((plugins[next++], int.TryParse(line, out var score) ? score : 0));
            if (next < plugins.Count && exitCode == 0) break;
            if (exitCode != 0) next++;
        }
        return scores;
    }

    private static (int ExitCode, string Output) RunChild(string[] words)
    {
        using var child = Process.Start(new ProcessStartInfo("dotnet", [Installation.Program("Serving"), .. words])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["DOTNET_DbgEnableMiniDump"] = "0" },
        })!;
        child.ErrorDataReceived += (_, _) => { };              // read, so that the child never waits for us
        child.BeginErrorReadLine();
        var output = child.StandardOutput.ReadToEnd();
        child.WaitForExit();
        return (child.ExitCode, output);
    }

    private static string Machine(IEnumerable<string> plugins)
    {
        var cpu = File.Exists("/proc/cpuinfo")
            ? string.Join('\n', File.ReadLines("/proc/cpuinfo").TakeWhile(l => l.Length > 0).Where(l => l.StartsWith("model", StringComparison.Ordinal) || l.StartsWith("flags", StringComparison.Ordinal)))
            : RuntimeInformation.ProcessArchitecture.ToString();
        var files = plugins.Select(p => $"{p} {new FileInfo(p).Length}");
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{LlamaLibrary.Version}\n{cpu}\n{string.Join('\n', files)}")));
    }

    private static string Hash(string path)
    {
        using var file = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(file));
    }

    private static Choice? ReadChoice(string path)
    {
        try
        {
            return File.Exists(path) ? Json.Deserialize<Choice>(File.ReadAllText(path)) : null;
        }
        catch (JsonException)
        {
            return null;                                       // written by another version, or half: chosen anew
        }
    }

    private static void WriteChoice(string path, Choice choice)
    {
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            var draft = $"{path}.{Environment.ProcessId}";
            File.WriteAllText(draft, Json.Serialize(choice));
            File.Move(draft, path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine($"warning: cache-not-written: the choice of the CPU plugin is made again next time: {e.Message}");
        }
    }
}
