using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace TokenMill.Web.Nodes;

/// <summary>
/// One running child: stdout is read line by line, stdin carries commands, the end of stderr is kept for diagnosis.
/// The write end of the child's stdin is held by this process only, so it closes whenever the portal ends, kill -9 included;
/// a child started with <c>--parent-pipe</c> takes that as its order to stop. It runs in a session of its own, so that
/// Ctrl-C in the portal's terminal reaches the portal alone and the children are stopped in order.
/// </summary>
public sealed class ChildProcess : IAsyncDisposable
{
    private const string NiceSession = """test -w /proc/self/autogroup && echo "$1" >/proc/self/autogroup; shift; exec nice -n "$0" "$@" """;

    private static readonly TimeSpan DisposeGrace = TimeSpan.FromSeconds(5);

    private readonly Process _process;
    private readonly TimeProvider _time;
    private readonly SemaphoreSlim _stdin = new(1, 1);
    private readonly OutputTail _stderr = new();

    private ChildProcess(Process process, TimeProvider time)
    {
        (_process, _time) = (process, time);
        Id = process.Id;
        Exited = WaitAsync();
    }

    public int Id { get; }

    /// <summary>Completes when the process is gone; never faults.</summary>
    public Task<ChildExit> Exited { get; }

    public static ChildProcess Start(ChildProgram program, TimeProvider time)
    {
        var start = new ProcessStartInfo { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false };
        List<string> words = [program.FileName, .. program.Arguments];
        if (OperatingSystem.IsLinux())
        {
            // Each replaces itself by what it starts, so the process id is the child's; niceness set before its first thread holds for all.
            if (program.Priority != Priority.Normal) words.InsertRange(0, ["sh", "-c", NiceSession, $"{program.Priority.Nice}", $"{program.Priority.SessionNice}"]);
            words.Insert(0, "setsid");
        }
        start.FileName = words[0];
        foreach (var word in words.Skip(1)) start.ArgumentList.Add(word);
        foreach (var name in start.Environment.Keys.Where(IsOwnServerSetting).ToList()) start.Environment.Remove(name);
        foreach (var (name, value) in program.Environment) start.Environment[name] = value;
        return new ChildProcess(Process.Start(start)!, time);
    }

    /// <summary>Lines of stdout until the process closes it. For one reader.</summary>
    public async IAsyncEnumerable<string> LinesAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (await _process.StandardOutput.ReadLineAsync(cancellationToken) is { } line) yield return line;
    }

    /// <summary>Writes one line to the child; false when it no longer listens.</summary>
    public async Task<bool> SendAsync(string line, CancellationToken cancellationToken)
    {
        await _stdin.WaitAsync(cancellationToken);
        try
        {
            await _process.StandardInput.WriteLineAsync(line.AsMemory(), cancellationToken);
            await _process.StandardInput.FlushAsync(cancellationToken);
            return true;
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            return false;
        }
        finally
        {
            _stdin.Release();
        }
    }

    /// <summary>Closes the pipe, waits for the child to end by itself, and kills it when <paramref name="grace"/> is over.</summary>
    public async Task<ChildExit> StopAsync(TimeSpan grace)
    {
        try
        {
            _process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It closed its end first.
        }
        try
        {
            return await Exited.WaitAsync(grace, _time);
        }
        catch (TimeoutException)
        {
            Kill();
            return await Exited;
        }
    }

    public void Kill()
    {
        try
        {
            _process.Kill(entireProcessTree: true);
        }
        catch (InvalidOperationException)
        {
            // Already gone.
        }
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync(DisposeGrace);
        _process.Dispose();
    }

    private async Task<ChildExit> WaitAsync()
    {
        var stderr = ReadStderrAsync();
        await _process.WaitForExitAsync();
        // A grandchild may hold stderr open for longer than the child lives.
        await Task.WhenAny(stderr, Task.Delay(TimeSpan.FromSeconds(1), _time));
        return new ChildExit(_process.ExitCode, _stderr.ToString());
    }

    private async Task ReadStderrAsync()
    {
        try
        {
            while (await _process.StandardError.ReadLineAsync() is { } line) _stderr.Add(line);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // The pipe broke with the process.
        }
    }

    /// <summary>Addresses and certificates of the portal are not its children's.</summary>
    private static bool IsOwnServerSetting(string name) =>
        name.StartsWith("ASPNETCORE_", StringComparison.OrdinalIgnoreCase) || name.StartsWith("Kestrel__", StringComparison.OrdinalIgnoreCase) || name is "DOTNET_URLS" or "URLS";
}
