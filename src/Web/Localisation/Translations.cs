using System.Collections.Frozen;
using System.Globalization;
using System.Reflection;
using System.Text.Json;

namespace TokenMill.Web.Localisation;

/// <summary>
/// The texts of the portal in other languages than English. English is written in the pages and is the key; beside the pages of
/// each feature lies a zh.json: {"English": "中文"}.
/// </summary>
public static class Translations
{
    private static readonly Lazy<FrozenDictionary<string, string>> Chinese = new(() => Load("zh"));
    private static readonly Lazy<FilledTexts> FilledChinese = new(() => new(Chinese.Value));

    public static string? Find(string english, CultureInfo culture) =>
        culture.TwoLetterISOLanguageName != "zh" ? null
        : Chinese.Value.TryGetValue(english, out var text) ? text
        : FilledChinese.Value.Find(english, filling => Find(filling, culture) ?? filling);

    public static IReadOnlyDictionary<string, string> All => Chinese.Value;

    /// <summary>File by file, as they lie beside the features.</summary>
    public static IEnumerable<(string File, string English, string Text)> Entries(string language)
    {
        var assembly = Assembly.GetExecutingAssembly();
        foreach (var name in assembly.GetManifestResourceNames().Where(n => n.EndsWith($"{language}.json", StringComparison.Ordinal)).Order(StringComparer.Ordinal))
        {
            using var stream = assembly.GetManifestResourceStream(name)!;
            foreach (var (english, text) in JsonSerializer.Deserialize<Dictionary<string, string>>(stream)!) yield return (name, english, text);
        }
    }

    private static FrozenDictionary<string, string> Load(string language) =>
        Entries(language).DistinctBy(entry => entry.English).ToFrozenDictionary(entry => entry.English, entry => entry.Text);
}
