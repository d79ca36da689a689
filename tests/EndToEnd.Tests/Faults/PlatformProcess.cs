using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using TokenMill.Testing;

namespace TokenMill.EndToEnd.Tests.Faults;

/// <summary>The real platform as a process on a data directory of its own, to be killed and started again.</summary>
internal sealed class PlatformProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly ConcurrentQueue<string> _output = new();

    private PlatformProcess(Process process, string data) => (_process, Data) = (process, data);

    public string Data { get; }
    public Uri Address { get; private set; } = default!;
    public string Output => string.Join('\n', _output);

    public static string Program(string name) => Path.Combine(Reference.Repository, ".build", "bin", name, "release", $"TokenMill.{name}.dll");

    public static async Task<PlatformProcess> StartAsync(string data)
    {
        var start = new ProcessStartInfo("dotnet", [Program("Web"), "--port", "0", "--data", data]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["TOKENMILL_HOME"] = Reference.Repository;
        var platform = new PlatformProcess(Process.Start(start)!, data);
        var ready = new TaskCompletionSource<Uri>(TaskCreationOptions.RunContinuationsAsynchronously);
        void Read(string? line)
        {
            if (line is null) return;
            platform._output.Enqueue(line);
            if (line.Split("ready: ") is [_, var url] && Uri.TryCreate(url.Trim(), UriKind.Absolute, out var address)) ready.TrySetResult(address);
        }
        platform._process.OutputDataReceived += (_, e) => Read(e.Data);
        platform._process.ErrorDataReceived += (_, e) => Read(e.Data);
        platform._process.BeginOutputReadLine();
        platform._process.BeginErrorReadLine();
        var ended = platform._process.WaitForExitAsync();
        await Task.WhenAny(ready.Task, ended, Task.Delay(TimeSpan.FromSeconds(60)));
        Assert.True(ready.Task.IsCompleted, $"the platform did not start:\n{platform.Output}");
        platform.Address = await ready.Task;
        return platform;
    }

    /// <summary>Processes that the platform started and that still live: <paramref name="verb"/> is train or serve.</summary>
    public IReadOnlyList<int> Children(string verb) => [.. ProcessesWith(verb, _process.Id)];

    /// <summary>Trainers and servers of this data directory, whoever their parent is now.</summary>
    public static IReadOnlyList<int> Orphans(string data) => [.. Directory.EnumerateDirectories("/proc")
        .Where(p => int.TryParse(Path.GetFileName(p), out _) && CommandLine(p) is var line && line.Contains(data, StringComparison.Ordinal) && (line.Contains(" train ", StringComparison.Ordinal) || line.Contains(" serve ", StringComparison.Ordinal)))
        .Select(p => int.Parse(Path.GetFileName(p), CultureInfo.InvariantCulture))];

    public static void Kill(int processId)
    {
        try
        {
            using var process = Process.GetProcessById(processId);
            process.Kill();                                  // SIGKILL
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException)
        {
            // It ended just before.
        }
    }

    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
    }

    /// <summary>SIGTERM, as a service manager sends it.</summary>
    public async Task<int> StopAsync()
    {
        using (var kill = Process.Start("kill", ["-TERM", _process.Id.ToString(CultureInfo.InvariantCulture)])) await kill.WaitForExitAsync();
        await _process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(60));
        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited) await KillAsync();
        _process.Dispose();
    }

    private static IEnumerable<int> ProcessesWith(string verb, int parent)
    {
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(folder), out var id) || ParentOf(folder) != parent) continue;
            if (CommandLine(folder).Contains($".dll {verb} ", StringComparison.Ordinal)) yield return id;
        }
    }

    private static int ParentOf(string folder)
    {
        try
        {
            var stat = File.ReadAllText(Path.Combine(folder, "stat"));
            return int.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[1], CultureInfo.InvariantCulture);
        }
        catch (IOException)
        {
            return 0;
        }
    }

    private static string CommandLine(string folder)
    {
        try
        {
            return File.ReadAllText(Path.Combine(folder, "cmdline")).Replace('\0', ' ');
        }
        catch (IOException)
        {
            return "";
        }
    }
}
