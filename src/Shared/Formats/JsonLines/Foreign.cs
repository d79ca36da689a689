namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>Names files that are no text by their first bytes, so that a person learns in one sentence what was uploaded.</summary>
internal static class Foreign
{
    private static readonly (byte[] Magic, string Name)[] Signatures =
    [
        ("%PDF-"u8.ToArray(), "a PDF document"),
        ([0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1], "an old Office document (xls, doc)"),
        ("{\\rtf"u8.ToArray(), "an RTF document"),
        ("PAR1"u8.ToArray(), "a Parquet file"),
        ("ARROW1"u8.ToArray(), "an Arrow file"),
        ("Obj\u0001"u8.ToArray(), "an Avro file"),
        ("SQLite format 3"u8.ToArray(), "an SQLite database"),
        ("GGUF"u8.ToArray(), "a GGUF model"),
        ([0x89, (byte)'H', (byte)'D', (byte)'F'], "an HDF5 file"),
        ([0x89, (byte)'P', (byte)'N', (byte)'G'], "a PNG image"),
        ([0xFF, 0xD8, 0xFF], "a JPEG image"),
        ("GIF8"u8.ToArray(), "a GIF image"),
        ("\u007fELF"u8.ToArray(), "a program"),
        ([0x1F, 0x8B], "a gzip archive inside a gzip archive (one layer is read)"),
        ([(byte)'7', (byte)'z', 0xBC, 0xAF, 0x27, 0x1C], "a 7z archive"),
        ("Rar!\u001a\u0007"u8.ToArray(), "a RAR archive"),
        ([0xFD, (byte)'7', (byte)'z', (byte)'X', (byte)'Z', 0], "an xz archive"),
        ([0x28, 0xB5, 0x2F, 0xFD], "a Zstandard archive"),
        ("BZh"u8.ToArray(), "a bzip2 archive"),
        ([0xFF, 0xFE, 0, 0], "text in UTF-32"),
        ([0, 0, 0xFE, 0xFF], "text in UTF-32"),
    ];

    /// <summary>What the file is, or null for what may be text.</summary>
    public static string? Name(ReadOnlySpan<byte> head)
    {
        if (head.StartsWith("PK\u0003\u0004"u8) || head.StartsWith("PK\u0005\u0006"u8)) return Zip(head);
        foreach (var (magic, name) in Signatures)
            if (head.StartsWith(magic)) return name;
        if (head.Length > 262 && head[257..].StartsWith("ustar"u8)) return "a tar archive";
        if (head.Length >= 2 && head[0] == 0x80 && head[1] is >= 2 and <= 5) return "a Python pickle";
        return LooksLikeUtf16(head) ? "text in UTF-16 without a byte order mark" : null;
    }

    private static string Zip(ReadOnlySpan<byte> head)
    {
        if (head.IndexOf("xl/"u8) >= 0) return "an Excel workbook (zip)";
        if (head.IndexOf("word/"u8) >= 0) return "a Word document (zip)";
        if (head.IndexOf("opendocument"u8) >= 0) return "an OpenDocument file (zip)";
        // Office writes this entry first; which kind of document comes later.
        return head.IndexOf("[Content_Types].xml"u8) >= 0 ? "an Office document such as an Excel workbook (zip)" : "a zip archive";
    }

    /// <summary>ASCII in UTF-16 has a NUL in every second byte; text in UTF-8 has none at all.</summary>
    private static bool LooksLikeUtf16(ReadOnlySpan<byte> head)
    {
        if (head.Length < 8 || head.StartsWith((ReadOnlySpan<byte>)[0xFF, 0xFE]) || head.StartsWith((ReadOnlySpan<byte>)[0xFE, 0xFF])) return false;
        int even = 0, odd = 0;
        for (var i = 0; i < head.Length; i++)
            if (head[i] == 0) _ = (i & 1) == 0 ? even++ : odd++;
        return Math.Max(even, odd) > head.Length / 4 && Math.Min(even, odd) <= head.Length / 64;
    }
}
