using System.IO.Compression;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>
/// Reads a gzip file once from end to end before any row of it is believed: every member complete, every checksum right,
/// and not more than the limit once unpacked. Half an upload never becomes a smaller data set.
/// </summary>
internal static class Gzip
{
    public static void Verify(Stream packed, long maxUnpackedBytes, CancellationToken cancellationToken)
    {
        var buffer = new byte[1 << 16];
        long total = 0;
        try
        {
            using var content = new GZipStream(packed, CompressionMode.Decompress, leaveOpen: true);
            for (int count; (count = content.Read(buffer)) > 0;)
            {
                cancellationToken.ThrowIfCancellationRequested();
                total += count;
                if (total > maxUnpackedBytes)
                    throw new RefusedException("too-large-unpacked", $"the file unpacks to more than {maxUnpackedBytes:N0} bytes, the limit for one file", "split the data into several files");
            }
        }
        catch (InvalidDataException e)
        {
            // The stream ended inside a member: zlib asked for more and there was none.
            if (packed.Position == packed.Length && e.Message.Contains("truncated", StringComparison.OrdinalIgnoreCase))
                throw new RefusedException(new Error("gzip-truncated", $"the compressed file ends early, after {total:N0} unpacked bytes", "the upload is incomplete: send it again"), e);
            throw new RefusedException(new Error("gzip-corrupt", $"the compressed data is damaged after {total:N0} unpacked bytes, or its checksum does not match", "the file was damaged on its way: compress and send it again"), e);
        }
    }
}
