using System.Buffers;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>
/// Finds what looks like data of a person or a secret: mail and IP addresses, phone, card and identity numbers, bank accounts, keys.
/// Where a number carries a checksum it must be right, so that a serial number is not taken for a card.
/// </summary>
internal static partial class PersonalData
{
    private static readonly SearchValues<char> Digits = SearchValues.Create("0123456789");
    private static readonly SearchValues<string> KeyBeginnings = SearchValues.Create(
        ["sk-", "pk-", "rk_", "AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "AIza", "hf_", "eyJ", "PRIVATE KEY"], StringComparison.Ordinal);

    /// <summary>The first finding of each kind (email, ip, phone, card, national-id, iban, secret) with the text itself.</summary>
    public static IReadOnlyList<(string Type, string Match)> Find(ReadOnlySpan<char> text)
    {
        List<(string Type, string Match)>? found = null;
        if (text.ContainsAny(KeyBeginnings)) Add(ref found, "secret", First(Secret(), text));
        if (text.Contains('@')) Add(ref found, "email", First(Email(), text));
        if (!text.ContainsAny(Digits)) return found ?? [];
        foreach (var match in Iban().EnumerateMatches(text))
            if (IsIban(text.Slice(match.Index, match.Length), out var length)) Add(ref found, "iban", text.Slice(match.Index, length).ToString());
        if (text.Contains('.'))
            foreach (var match in IpV4().EnumerateMatches(text))
                if (IsAddress(text.Slice(match.Index, match.Length), AddressFamily.InterNetwork)) Add(ref found, "ip", text.Slice(match.Index, match.Length).ToString());
        if (text.Contains(':'))
            foreach (var match in IpV6().EnumerateMatches(text))
                if (IsAddress(text.Slice(match.Index, match.Length), AddressFamily.InterNetworkV6)) Add(ref found, "ip", text.Slice(match.Index, match.Length).ToString());
        foreach (var match in Number().EnumerateMatches(text))
            if (Classify(text.Slice(match.Index, match.Length)) is var (type, number)) Add(ref found, type, number);
        return found ?? [];
    }

    private static void Add(ref List<(string Type, string Match)>? found, string type, string? match)
    {
        if (match is null || found?.Exists(f => f.Type == type) == true) return;
        (found ??= []).Add((type, match));
    }

    private static (string, string)? Classify(ReadOnlySpan<char> number)
    {
        if (NumberKind(number) is { } kind) return (kind, number.ToString());
        // Several numbers in a row: each by itself.
        if (!number.Contains(' ')) return null;
        foreach (var range in number.Split(' '))
            if (NumberKind(number[range]) is { } inner) return (inner, number[range].ToString());
        return null;
    }

    private static string? NumberKind(ReadOnlySpan<char> number)
    {
        Span<char> buffer = stackalloc char[number.Length];
        var count = 0;
        foreach (var c in number)
            if (char.IsAsciiDigit(c)) buffer[count++] = c;
        var digits = buffer[..count];
        if (count < 7) return null;
        if (number[0] == '+') return count is >= 8 and <= 15 ? "phone" : null;
        if (count == number.Length && count == 18 || count == 17 && number.Length == 18 && number[^1] is 'X' or 'x') return IsChineseId(number) ? "national-id" : null;
        if (SocialSecurity().IsMatch(number)) return "national-id";
        if (count is >= 13 and <= 19 && CardLayout().IsMatch(number) && IsCard(digits)) return "card";
        return Phone().IsMatch(number) ? "phone" : null;
    }

    /// <summary>GB 11643: a date inside, and a check digit modulo 11.</summary>
    private static bool IsChineseId(ReadOnlySpan<char> id)
    {
        if (!DateTime.TryParseExact(id.Slice(6, 8), "yyyyMMdd", CultureInfo.InvariantCulture, DateTimeStyles.None, out _)) return false;
        ReadOnlySpan<int> weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
        var sum = 0;
        for (var i = 0; i < 17; i++) sum += (id[i] - '0') * weights[i];
        return "10X98765432"[sum % 11] == char.ToUpperInvariant(id[17]);
    }

    /// <summary>A length and beginning that a network issues, and Luhn's check digit.</summary>
    private static bool IsCard(ReadOnlySpan<char> digits)
    {
        var two = (digits[0] - '0') * 10 + digits[1] - '0';
        var issued = digits.Length switch
        {
            13 => two / 10 == 4,
            14 => two is 30 or 36 or 38,
            15 => two is 34 or 37,
            16 => two / 10 == 4 || two is >= 51 and <= 55 or >= 22 and <= 27 or 35 or 60 or 62 or 64 or 65,
            19 => two / 10 == 4 || two is 62 or 65,
            _ => two == 62,
        };
        if (!issued) return false;
        var sum = 0;
        for (var i = 0; i < digits.Length; i++)
        {
            var digit = digits[^(i + 1)] - '0';
            if (i % 2 == 1) digit = digit > 4 ? digit * 2 - 9 : digit * 2;
            sum += digit;
        }
        return sum % 10 == 0;
    }

    /// <summary>ISO 13616: 15 to 34 characters, modulo 97 equal to 1. A word behind may have been taken along, so shorter ends are tried too.</summary>
    private static bool IsIban(ReadOnlySpan<char> candidate, out int length)
    {
        for (length = candidate.Length; length >= 15; length--)
        {
            if (length < candidate.Length && candidate[length] != ' ') continue;
            if (Modulo97(candidate[..length], out var characters) == 1 && characters is >= 15 and <= 34) return true;
        }
        return false;
    }

    private static int Modulo97(ReadOnlySpan<char> text, out int characters)
    {
        Span<char> compact = stackalloc char[text.Length];
        characters = 0;
        foreach (var c in text)
            if (c != ' ') compact[characters++] = c;
        var rest = 0;
        for (var i = 0; i < characters; i++)
        {
            var c = compact[(i + 4) % characters];
            rest = char.IsAsciiDigit(c) ? (rest * 10 + c - '0') % 97 : (rest * 100 + c - 'A' + 10) % 97;
        }
        return rest;
    }

    private static bool IsAddress(ReadOnlySpan<char> text, AddressFamily family)
    {
        if (!IPAddress.TryParse(text, out var address) || address.AddressFamily != family || IPAddress.IsLoopback(address)) return false;
        if (family == AddressFamily.InterNetwork) return !text.StartsWith("0.") && !text.StartsWith("255.");
        // C++ scopes and clock times are written with colons too.
        var groups = 0;
        foreach (var range in text.Split(':'))
            if (!text[range].IsEmpty) groups++;
        return groups >= 3 && text.ContainsAny(Digits);
    }

    private static string? First(Regex pattern, ReadOnlySpan<char> text)
    {
        foreach (var match in pattern.EnumerateMatches(text)) return text.Slice(match.Index, match.Length).ToString();
        return null;
    }

    [GeneratedRegex(@"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,8}\.[A-Za-z]{2,24}(?![A-Za-z0-9])", RegexOptions.CultureInvariant)]
    private static partial Regex Email();

    [GeneratedRegex(@"(?<![A-Za-z0-9])(?:[spr]k[-_][A-Za-z0-9_-]{20,200}|A[KS]IA[A-Z0-9]{16}(?![A-Z0-9])|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}|glpat-[A-Za-z0-9_-]{20,}|xox[abeoprs]-[A-Za-z0-9-]{10,}|AIza[A-Za-z0-9_-]{35}|hf_[A-Za-z0-9]{30,}|eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,})|-----BEGIN (?:[A-Z]{2,10} )?PRIVATE KEY-----", RegexOptions.CultureInvariant)]
    private static partial Regex Secret();

    [GeneratedRegex(@"(?<![A-Za-z0-9.])(?<!(?:version|Version|v\.|V) ?)(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![A-Za-z0-9]|\.[0-9])", RegexOptions.CultureInvariant)]
    private static partial Regex IpV4();

    [GeneratedRegex(@"(?<![A-Za-z0-9:.])[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![A-Za-z0-9:])", RegexOptions.CultureInvariant)]
    private static partial Regex IpV6();

    [GeneratedRegex(@"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])", RegexOptions.CultureInvariant)]
    private static partial Regex Iban();

    /// <summary>Seven or more digits with at most two separators between each.</summary>
    [GeneratedRegex(@"(?<![A-Za-z0-9.,])[+(]?[0-9](?:[ ().-]{0,2}[0-9]){6,30}[Xx]?(?![A-Za-z0-9])", RegexOptions.CultureInvariant)]
    private static partial Regex Number();

    [GeneratedRegex(@"^(?!000|666)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}\z", RegexOptions.CultureInvariant)]
    private static partial Regex SocialSecurity();

    [GeneratedRegex(@"^[0-9]+(?:[ -][0-9]+)*\z", RegexOptions.CultureInvariant)]
    private static partial Regex CardLayout();

    /// <summary>Mobile and fixed numbers of China, numbers of North America; others are known by their +.</summary>
    [GeneratedRegex(@"^(?:1[3-9][0-9][ -]?[0-9]{4}[ -]?[0-9]{4}|0[0-9]{2,3}-[0-9]{7,8}|(?:1[ .-])?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4})\z", RegexOptions.CultureInvariant)]
    private static partial Regex Phone();
}
