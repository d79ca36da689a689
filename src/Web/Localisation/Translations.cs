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

    public static string? Find(string english, CultureInfo culture) =>
        culture.TwoLetterISOLanguageName == "zh" && Chinese.Value.TryGetValue(english, out var text) ? text : null;

    public static IReadOnlyDictionary<string, string> All => Chinese.Value;

    private static FrozenDictionary<string, string> Load(string language)
    {
        var assembly = Assembly.GetExecutingAssembly();
        var texts = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var name in assembly.GetManifestResourceNames().Where(n => n.EndsWith($"{language}.json", StringComparison.Ordinal)))
        {
            using var stream = assembly.GetManifestResourceStream(name)!;
            foreach (var (english, text) in JsonSerializer.Deserialize<Dictionary<string, string>>(stream)!)
                if (!texts.TryAdd(english, text) && texts[english] != text) throw new InvalidDataException($"'{english}' is translated twice: '{texts[english]}' and '{text}' ({name})");
        }
        return texts.ToFrozenDictionary();
    }
}
