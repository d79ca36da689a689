using System.ComponentModel;
using System.Runtime.InteropServices;

namespace TokenMill.Training.Checkpoints;

/// <summary>A rename is on disk only when the folder around it is, and .NET opens no folders: open(2), fsync(2).</summary>
internal static partial class Disk
{
    public static void FlushFolder(string path)
    {
        const int readOnly = 0;
        var descriptor = open(path, readOnly);
        if (descriptor < 0) throw new IOException($"{path} cannot be opened", new Win32Exception(Marshal.GetLastPInvokeError()));
        var failed = fsync(descriptor) != 0 ? Marshal.GetLastPInvokeError() : 0;
        _ = close(descriptor);
        if (failed != 0) throw new IOException($"{path} cannot be flushed to disk", new Win32Exception(failed));
    }

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fsync(int descriptor);

    [LibraryImport("libc")]
    private static partial int close(int descriptor);
}
