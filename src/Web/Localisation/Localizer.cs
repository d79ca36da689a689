using System.Globalization;
using Microsoft.Extensions.Localization;

namespace TokenMill.Web.Localisation;

/// <summary>Looks up texts by their English words, in the language of the reader: <c>L["Retry"]</c>, <c>L["{0} of {1} rows", good, all]</c>.</summary>
public sealed class Localizer : IStringLocalizer
{
    public LocalizedString this[string name] => new(name, Text(name), Translations.Find(name, CultureInfo.CurrentUICulture) is null);

    public LocalizedString this[string name, params object[] arguments] =>
        new(name, string.Format(CultureInfo.CurrentCulture, Text(name), arguments), Translations.Find(name, CultureInfo.CurrentUICulture) is null);

    public IEnumerable<LocalizedString> GetAllStrings(bool includeParentCultures) => Translations.All.Select(t => new LocalizedString(t.Key, t.Value));

    private static string Text(string english) => Translations.Find(english, CultureInfo.CurrentUICulture) ?? english;
}

public static class LocalizerExtensions
{
    /// <summary>An error's message or remedy as a sentence of its own: capital at the start, full stop at the end.</summary>
    public static string AsSentence(this string text)
    {
        if (text.Length == 0) return "";
        var stop = char.IsPunctuation(text[^1]) && text[^1] is not (')' or '"' or '\'' or '»') ? "" : CultureInfo.CurrentUICulture.TwoLetterISOLanguageName == "zh" && text[^1] > 0x2E80 ? "。" : ".";
        return char.ToUpper(text[0], CultureInfo.CurrentCulture) + text[1..] + stop;
    }

    /// <summary>One or many: <c>L.Count(n, "{0} row", "{0} rows")</c>.</summary>
    public static LocalizedString Count(this IStringLocalizer localizer, long count, string one, string many, params object[] more) => localizer[count == 1 ? one : many, [count, .. more]];
}
