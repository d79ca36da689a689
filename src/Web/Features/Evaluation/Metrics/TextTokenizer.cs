using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace TokenMill.Web.Features.Evaluation.Metrics;

public enum TextTokenizer
{
    /// <summary>What each metric is usually reported with: 13a for BLEU, lower-case runs of a-z0-9 for ROUGE.</summary>
    Default,

    /// <summary>mteval-v13a, for Western languages.</summary>
    Mteval13A,

    /// <summary>mteval-v14: Unicode punctuation and symbols.</summary>
    International,

    /// <summary>Each Chinese character is a token, the rest as 13a.</summary>
    Chinese,

    /// <summary>Each character is a token.</summary>
    Character,
}

/// <summary>The tokenizers that BLEU scores are reported with, token for token as sacrebleu has them.</summary>
internal static partial class TextTokenizers
{
    /// <summary>
    /// Blocks whose characters count as Chinese. The first block is sacrebleu's own slip (U+20000…U+2A6D6 written with four-digit escapes),
    /// kept since published scores have it: it also sets apart signs such as “ ” — … €.
    /// </summary>
    private static readonly (char First, char Last)[] ChineseBlocks =
    [
        ('\u2001', '\u2a6d'), ('\u2e80', '\u2eff'), ('\u2f00', '\u2fdf'), ('\u2ff0', '\u303f'), ('\u3100', '\u312f'), ('\u31a0', '\u31bf'), ('\u31c0', '\u31ef'), ('\u3200', '\u33ff'),
        ('\u3400', '\u4db5'), ('\u4e00', '\u9fbb'), ('\uf900', '\ufa2d'), ('\ufa30', '\ufa6a'), ('\ufa70', '\ufad9'), ('\ufe10', '\ufe1f'), ('\ufe30', '\ufe4f'), ('\uff00', '\uffef'),
    ];

    public static List<string> Tokenize(string text, TextTokenizer tokenizer) => MetricText.Words(tokenizer switch
    {
        TextTokenizer.International => International(text),
        TextTokenizer.Chinese => Punctuation(Chinese(text)),
        TextTokenizer.Character => string.Join(' ', MetricText.CodePoints(text)),
        _ => Punctuation(" " + WithoutMarkup(text) + " "),
    });

    private static string WithoutMarkup(string text) => text
        .Replace("<skipped>", "", StringComparison.Ordinal).Replace("-\n", "", StringComparison.Ordinal).Replace('\n', ' ')
        .Replace("&quot;", "\"", StringComparison.Ordinal).Replace("&amp;", "&", StringComparison.Ordinal)
        .Replace("&lt;", "<", StringComparison.Ordinal).Replace("&gt;", ">", StringComparison.Ordinal);

    private static string Punctuation(string text)
    {
        text = AsciiSigns().Replace(text, " $1 ");
        text = PointAfterNonDigit().Replace(text, "$1 $2 ");
        text = PointBeforeNonDigit().Replace(text, " $1 $2");
        return DashAfterDigit().Replace(text, "$1 $2 ");
    }

    private static string Chinese(string text)
    {
        var result = new StringBuilder(text.Length);
        foreach (var c in text)
        {
            if (Array.Exists(ChineseBlocks, block => c >= block.First && c <= block.Last)) result.Append(' ').Append(c).Append(' ');
            else result.Append(c);
        }
        return result.ToString();
    }

    private static string International(string text)
    {
        var runes = text.EnumerateRunes().ToList();
        runes = Separate(runes, (a, b) => !Rune.IsNumber(a) && IsPunctuation(b), spaceBefore: false);
        runes = Separate(runes, (a, b) => IsPunctuation(a) && !Rune.IsNumber(b), spaceBefore: true);
        return string.Concat(runes.Select(r => Rune.IsSymbol(r) ? $" {r} " : r.ToString()));
    }

    /// <summary>Pairs from left to right that do not overlap get spaces: "a b " or " a b".</summary>
    private static List<Rune> Separate(List<Rune> runes, Func<Rune, Rune, bool> isPair, bool spaceBefore)
    {
        var space = new Rune(' ');
        var result = new List<Rune>(runes.Count);
        for (var i = 0; i < runes.Count; i++)
        {
            if (i + 1 == runes.Count || !isPair(runes[i], runes[i + 1])) result.Add(runes[i]);
            else result.AddRange(spaceBefore ? [space, runes[i], space, runes[++i]] : [runes[i], space, runes[++i], space]);
        }
        return result;
    }

    private static bool IsPunctuation(Rune rune) => Rune.GetUnicodeCategory(rune) is UnicodeCategory.ConnectorPunctuation or UnicodeCategory.DashPunctuation
        or UnicodeCategory.OpenPunctuation or UnicodeCategory.ClosePunctuation or UnicodeCategory.InitialQuotePunctuation or UnicodeCategory.FinalQuotePunctuation or UnicodeCategory.OtherPunctuation;

    [GeneratedRegex(@"([\{-\~\[-\` -\&\(-\+\:-\@\/])", RegexOptions.CultureInvariant)]
    private static partial Regex AsciiSigns();

    [GeneratedRegex(@"([^0-9])([\.,])", RegexOptions.CultureInvariant | RegexOptions.Singleline)]
    private static partial Regex PointAfterNonDigit();

    [GeneratedRegex(@"([\.,])([^0-9])", RegexOptions.CultureInvariant | RegexOptions.Singleline)]
    private static partial Regex PointBeforeNonDigit();

    [GeneratedRegex(@"([0-9])(-)", RegexOptions.CultureInvariant)]
    private static partial Regex DashAfterDigit();
}
