using System.ComponentModel;
using System.Diagnostics;
using TokenMill.Shared.Domain;

namespace TokenMill.Serving.Host;

/// <summary>
/// Native code that crashes takes this process with it, last words included. So while it runs, a shell waits at the other end of a
/// pipe, with the same stdout: if the pipe closes without a word, it prints the line that says what happened.
/// </summary>
internal sealed class CrashLine : IDisposable
{
    private readonly Process _shell;

    private CrashLine(Process shell) => _shell = shell;

    /// <summary>Until disposed; null where there is no shell.</summary>
    public static CrashLine? Watch(Error error)
    {
        try
        {
            var shell = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", "read -r word || printf '%s\\n' \"$0\"", StartReport.FailedLine(error)]) { RedirectStandardInput = true });
            return shell is null ? null : new CrashLine(shell);
        }
        catch (Win32Exception)
        {
            return null;
        }
    }

    public void Dispose()
    {
        _shell.StandardInput.WriteLine("done");
        _shell.StandardInput.Close();
        _shell.WaitForExit();
        _shell.Dispose();
    }
}
