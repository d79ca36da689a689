using Microsoft.Win32.SafeHandles;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Formats;

/// <summary>Says what a file is when it is not what its name claims.</summary>
internal static class ForeignFile
{
    /// <summary>Refuses a file that does not begin with <paramref name="magic"/>, naming what it is instead where that is known.</summary>
    public static void Refuse(SafeFileHandle file, long fileBytes, string code, ReadOnlySpan<byte> magic)
    {
        var start = Start(file, fileBytes);
        if (start.StartsWith(magic)) return;
        RefuseLfsPointer(start);
        if (fileBytes < magic.Length)
            throw new RefusedException(new Error(code.Replace("magic", "truncated", StringComparison.Ordinal),
                $"a file of {fileBytes} bytes", "the download is incomplete: fetch it again"));
        var what = Name(start) ?? "no model";
        throw new RefusedException(new Error(code, $"the file is {what}, not {System.Text.Encoding.ASCII.GetString(magic)}", "choose a model file (.gguf), or a folder with config.json and safetensors") { Field = "magic" });
    }

    public static void RefuseLfsPointer(SafeFileHandle file, long fileBytes, string? field = null) => RefuseLfsPointer(Start(file, fileBytes), field);

    private static void RefuseLfsPointer(ReadOnlySpan<byte> start, string? field = null)
    {
        if (start.StartsWith("version https://git-lfs"u8))
            throw new RefusedException(new Error("lfs-pointer", "a Git LFS pointer in place of the weights", "fetch the file itself, for instance with git lfs pull") { Field = field });
    }

    private static byte[] Start(SafeFileHandle file, long fileBytes)
    {
        var start = new byte[(int)Math.Min(fileBytes, 64)];
        var read = RandomAccess.Read(file, start, 0);
        return start[..read];
    }

    private static string? Name(ReadOnlySpan<byte> start) =>
        start.StartsWith("%PDF"u8) ? "a PDF"
        : start.StartsWith("PK\x03\x04"u8) ? "a zip archive (perhaps a pickled checkpoint, which could run code)"
        : start.StartsWith("\x1f\x8b"u8) ? "gzip"
        : start.StartsWith("GGML"u8) || start.StartsWith("lmgg"u8) || start.StartsWith("tjgg"u8) ? "a GGML file, the format before GGUF"
        : start.StartsWith("<"u8) ? "a web page"
        : start.StartsWith("{"u8) ? "JSON"
        : start.StartsWith("\x80"u8) ? "a pickle, which could run code"
        : null;
}
