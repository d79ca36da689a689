using System.Globalization;
using System.Text;

namespace TokenMill.Shared.ChatTemplates.Syntax;

/// <summary>The escapes of Python's string literals. An unknown one stays as it is.</summary>
internal static class TextLiteral
{
    public static string Unescape(string text, int line)
    {
        if (!text.Contains('\\')) return text;
        var result = new StringBuilder(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] != '\\' || i + 1 >= text.Length)
            {
                result.Append(text[i]);
                continue;
            }
            var c = text[++i];
            switch (c)
            {
                case '\n': break;
                case '\\' or '\'' or '"': result.Append(c); break;
                case 'a': result.Append('\a'); break;
                case 'b': result.Append('\b'); break;
                case 'f': result.Append('\f'); break;
                case 'n': result.Append('\n'); break;
                case 'r': result.Append('\r'); break;
                case 't': result.Append('\t'); break;
                case 'v': result.Append('\v'); break;
                case >= '0' and <= '7': i = Octal(text, i, result); break;
                case 'x': i = Hexadecimal(text, i, 2, result, line); break;
                case 'u': i = Hexadecimal(text, i, 4, result, line); break;
                case 'U': i = Hexadecimal(text, i, 8, result, line); break;
                case 'N': throw TemplateException.Syntax("character names (\\N{…}) are not supported", line);
                case > '\x7f': i = EscapedNonAscii(text, i, result); break;
                default: result.Append('\\').Append(c); break;
            }
        }
        return result.ToString();
    }

    private static int Octal(string text, int first, StringBuilder result)
    {
        int value = 0, i = first;
        for (; i < text.Length && i < first + 3 && text[i] is >= '0' and <= '7'; i++) value = value * 8 + (text[i] - '0');
        result.Append((char)value);
        return i - 1;
    }

    private static int Hexadecimal(string text, int letter, int digits, StringBuilder result, int line)
    {
        if (letter + digits >= text.Length || !int.TryParse(text.AsSpan(letter + 1, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value) || value is < 0 or > 0x10FFFF)
            throw TemplateException.Syntax("truncated or illegal escape in a string", line);
        if (value > 0xFFFF) result.Append(char.ConvertFromUtf32(value));
        else result.Append((char)value);
        return letter + digits;
    }

    /// <summary>Jinja turns non-ASCII into escapes before it reads them, so a backslash in front shows that escape.</summary>
    private static int EscapedNonAscii(string text, int i, StringBuilder result)
    {
        result.Append('\\');
        if (char.IsSurrogatePair(text, i))
        {
            result.Append(CultureInfo.InvariantCulture, $"U{char.ConvertToUtf32(text, i):x8}");
            return i + 1;
        }
        result.Append(text[i] <= 0xFF ? 'x' : 'u').Append(((int)text[i]).ToString(text[i] <= 0xFF ? "x2" : "x4", CultureInfo.InvariantCulture));
        return i;
    }
}
