using System.IO.Compression;
using System.Text;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>
/// Opens an uploaded file as a stream of UTF-8 bytes: names what is no text, unpacks one layer of gzip, reads byte order marks.
/// The content decides, never the name. Every refusal is a <see cref="RefusedException"/> about the file as a whole.
/// </summary>
internal sealed class DatasetFile : IDisposable
{
    private const int BufferBytes = 1 << 16;
    private const int HeadBytes = 1 << 13;

    private readonly FileStream _file;

    private DatasetFile(FileStream file, Stream content, string encoding) => (_file, Content, Encoding) = (file, content, encoding);

    /// <summary>UTF-8 without a byte order mark.</summary>
    public Stream Content { get; }

    /// <summary>What the bytes of the file are: utf-8, utf-16le or utf-16be.</summary>
    public string Encoding { get; }

    /// <summary>Share of the file's bytes read so far, packed or not.</summary>
    public double Progress => (double)_file.Position / _file.Length;

    /// <exception cref="RefusedException">empty-file, not-text, gzip-truncated, gzip-corrupt, too-large-unpacked.</exception>
    public static DatasetFile Open(string path, long maxUnpackedBytes, CancellationToken cancellationToken)
    {
        var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, BufferBytes, FileOptions.SequentialScan);
        try
        {
            if (file.Length == 0) throw new RefusedException("empty-file", "the file is empty", "choose a file with at least one row");
            var head = Head(file);
            var packed = head.AsSpan().StartsWith((ReadOnlySpan<byte>)[0x1F, 0x8B]);
            if (packed)
            {
                file.Position = 0;
                Gzip.Verify(file, maxUnpackedBytes, cancellationToken);
                file.Position = 0;
                using (var content = new GZipStream(file, CompressionMode.Decompress, leaveOpen: true)) head = Head(content);
                if (head.Length == 0) throw new RefusedException("empty-file", "the file is empty once unpacked", "choose a file with at least one row");
            }
            if (Foreign.Name(head) is { } name)
                throw new RefusedException("not-text", $"{(packed ? "unpacked, " : "")}this is {name}", "export its content as JSON Lines or CSV in UTF-8");
            file.Position = 0;
            return Decode(file, packed ? new GZipStream(file, CompressionMode.Decompress) : file, head);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public void Dispose() => Content.Dispose();

    private static DatasetFile Decode(FileStream file, Stream content, byte[] head)
    {
        if (head.AsSpan().StartsWith((ReadOnlySpan<byte>)[0xEF, 0xBB, 0xBF])) return new DatasetFile(file, Skip(content, 3), "utf-8");
        if (head.AsSpan().StartsWith((ReadOnlySpan<byte>)[0xFF, 0xFE])) return new DatasetFile(file, new Utf16Stream(Skip(content, 2), bigEndian: false), "utf-16le");
        if (head.AsSpan().StartsWith((ReadOnlySpan<byte>)[0xFE, 0xFF])) return new DatasetFile(file, new Utf16Stream(Skip(content, 2), bigEndian: true), "utf-16be");
        return new DatasetFile(file, content, "utf-8");
    }

    private static byte[] Head(Stream content)
    {
        var head = new byte[HeadBytes];
        return head[..content.ReadAtLeast(head, head.Length, throwOnEndOfStream: false)];
    }

    private static Stream Skip(Stream content, int count)
    {
        Span<byte> mark = stackalloc byte[count];
        content.ReadExactly(mark);
        return content;
    }
}
