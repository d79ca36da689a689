using System.Text;

namespace TokenMill.Training.Tokenizer;

/// <summary>
/// The printable spelling of bytes in vocabularies of the gpt2 kind: printable Latin-1 characters stand for themselves,
/// every other byte for the next free character from U+0100 on. So each token is readable text without white space.
/// </summary>
internal static class ByteAlphabet
{
    private static readonly char[] Characters = Build();
    private static readonly Dictionary<char, byte> Bytes = Characters.Select((c, b) => (c, b)).ToDictionary(p => p.c, p => (byte)p.b);

    public static string Spell(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder(bytes.Length);
        foreach (var b in bytes) text.Append(Characters[b]);
        return text.ToString();
    }

    public static byte[] Read(string spelling) => [.. spelling.Select(c => Bytes[c])];

    private static char[] Build()
    {
        var characters = new char[256];
        var next = 256;
        for (var b = 0; b < 256; b++)
            characters[b] = b is >= '!' and <= '~' or >= 0xA1 and <= 0xAC or >= 0xAE and <= 0xFF ? (char)b : (char)next++;
        return characters;
    }
}
