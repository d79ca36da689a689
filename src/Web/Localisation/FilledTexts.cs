using System.Globalization;
using System.Text.RegularExpressions;

namespace TokenMill.Web.Localisation;

/// <summary>
/// Sentences that were written down in English with their numbers in them ("loaded in 2.1 s"): found again by the text they were made
/// of ("loaded in {0} s"), so that each reader gets them in his own language.
/// </summary>
internal sealed partial class FilledTexts
{
    private const int FewestLetters = 6;                       // "{0} of {1}" fits anything

    private readonly List<Template> _templates;                // the one that says most first

    public FilledTexts(IEnumerable<KeyValuePair<string, string>> translations) =>
        _templates = [.. translations.Where(t => Place().IsMatch(t.Key)).Select(t => new Template(t.Key, t.Value)).Where(t => t.Letters >= FewestLetters).OrderByDescending(t => t.Letters)];

    /// <param name="translate">What fills a place may be a sentence of its own.</param>
    public string? Find(string filled, Func<string, string> translate)
    {
        foreach (var template in _templates)
            if (template.Fillings(filled) is { } fillings) return string.Format(CultureInfo.CurrentCulture, template.Translation, [.. fillings.Select(translate)]);
        return null;
    }

    [GeneratedRegex(@"\{(\d)[^}]*\}")]
    private static partial Regex Place();

    private sealed class Template
    {
        private readonly string[] _words;                      // before, between and after the places
        private readonly int[] _places;

        public Template(string english, string translation)
        {
            Translation = translation;
            _words = Regex.Split(english, @"\{\d[^}]*\}");
            _places = [.. Place().Matches(english).Select(m => int.Parse(m.Groups[1].ValueSpan, CultureInfo.InvariantCulture))];
            Letters = _words.Sum(w => w.Count(char.IsLetter));
        }

        public string Translation { get; }

        public int Letters { get; }

        /// <summary>What stands in the places, by their numbers; null if the sentence was not made of this.</summary>
        public string[]? Fillings(string filled)
        {
            if (!filled.StartsWith(_words[0], StringComparison.Ordinal) || !filled.EndsWith(_words[^1], StringComparison.Ordinal)) return null;
            var fillings = new string[_places.Max() + 1];
            Array.Fill(fillings, "");
            var from = _words[0].Length;
            for (var i = 0; i < _places.Length; i++)
            {
                var last = i == _places.Length - 1;
                var to = last ? filled.Length - _words[^1].Length : filled.IndexOf(_words[i + 1], Math.Min(from + 1, filled.Length), StringComparison.Ordinal);
                if (to <= from) return null;                   // nothing fills a place, or the words are missing
                fillings[_places[i]] = filled[from..to];
                from = to + _words[i + 1].Length;
            }
            return fillings;
        }
    }
}
