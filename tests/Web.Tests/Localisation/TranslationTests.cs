using System.Text.RegularExpressions;
using TokenMill.Testing;
using TokenMill.Web.Localisation;

namespace TokenMill.Web.Tests.Localisation;

/// <summary>Every text that a page shows can be read in Chinese too.</summary>
public sealed partial class TranslationTests
{
    private static readonly string Source = Path.Combine(Reference.Repository, "src", "Web");

    [Fact]
    public void EveryText_IsTranslated()
    {
        var missing = Files("*.razor").Concat(Files("*.cs"))
            .SelectMany(file => Texts(File.ReadAllText(file)).Where(text => !Translations.All.ContainsKey(text)).Select(text => $"{Path.GetRelativePath(Source, file)}: {text}"))
            .Distinct().ToList();
        Assert.True(missing.Count == 0, "without translation in any zh.json:\n" + string.Join('\n', missing));
    }

    [Fact]
    public void Translations_AgreeAndKeepTheirPlaceholders()
    {
        foreach (var same in Translations.Entries("zh").GroupBy(e => e.English))
            Assert.True(same.Select(e => e.Text).Distinct().Count() == 1, $"'{same.Key}' is translated differently in {string.Join(" and ", same.Select(e => e.File))}");
        foreach (var (file, english, text) in Translations.Entries("zh"))
            Assert.True(Places(english).SetEquals(Places(text)), $"{file}: '{english}' and '{text}' have different places");
    }

    /// <summary>Reasons and errors are kept in English with their numbers in them; a reader gets them in his language all the same.</summary>
    [Theory]
    [InlineData("loaded in 2.1 s", "加载用时 2.1 秒")]
    [InlineData("loading 92 MB on 2 threads", "正在加载 92 MB，使用 2 个线程")]
    [InlineData("loading 92 MB on 1 thread, since a fine-tune runs", "正在加载 92 MB，使用 1 个线程（有微调任务在运行）")]
    [InlineData("loaded in 2.1 s; it is started again in 4 s", "加载用时 2.1 秒；4 秒后重新启动")]        // a sentence within a sentence
    [InlineData("3 is outside of 5 to 9", "3 超出 5 到 9 的范围")]
    public void WrittenDownSentence_IsTranslatedWithWhatFillsIt(string english, string chinese) => Assert.Equal(chinese, Translations.Find(english, new("zh")));

    [Theory]
    [InlineData("loaded in  s")]                               // nothing in the place
    [InlineData("it was loaded in 2.1 s")]
    [InlineData("2 of 3")]                                     // made of too few words to be told from other sentences
    [InlineData("")]
    public void OtherSentence_StaysAsItIs(string english) => Assert.Null(Translations.Find(english, new("zh")));

    /// <summary>Words between tags that did not go through L[…]; names of products and code are let through.</summary>
    [Fact]
    public void Markup_HoldsNoPlainWords()
    {
        var plain = Files("*.razor")
            .SelectMany(file => PlainText().Matches(Markup(File.ReadAllText(file))).Select(m => (File: file, Text: m.Groups[1].Value.Trim())))
            .Where(x => Word().IsMatch(x.Text) && !x.Text.Contains('@') && !x.Text.Contains("L[", StringComparison.Ordinal) && !Allowed().IsMatch(x.Text))
            .Select(x => $"{Path.GetRelativePath(Source, x.File)}: {x.Text}").ToList();
        Assert.True(plain.Count == 0, "not localisable:\n" + string.Join('\n', plain));
    }

    private static IEnumerable<string> Files(string pattern) => Directory.EnumerateFiles(Source, pattern, SearchOption.AllDirectories);

    private static IEnumerable<string> Texts(string source)
    {
        var code = DocComment().Replace(source, "");
        return Direct().Matches(code).Select(m => m.Groups[1].Value)
            .Concat(Counted().Matches(code).SelectMany(m => new[] { m.Groups[1].Value, m.Groups[2].Value }))
            .Select(Regex.Unescape);
    }

    private static string Markup(string razor)
    {
        var code = razor.IndexOf("@code", StringComparison.Ordinal);
        return Regex.Replace(code < 0 ? razor : razor[..code], @"@\*.*?\*@|<code>.*?</code>|<pre>.*?</pre>", "", RegexOptions.Singleline);
    }

    private static HashSet<string> Places(string text) => [.. Place().Matches(text).Select(m => m.Value)];

    [GeneratedRegex(@"^\s*///.*$", RegexOptions.Multiline)]
    private static partial Regex DocComment();

    [GeneratedRegex(@"\b(?:L|localizer|texts)\[""((?:[^""\\]|\\.)*)""")]
    private static partial Regex Direct();

    [GeneratedRegex(@"\b(?:L|localizer|texts)\.Count\([^""]*""((?:[^""\\]|\\.)*)"",\s*""((?:[^""\\]|\\.)*)""")]
    private static partial Regex Counted();

    [GeneratedRegex(@">([^<>{}]+)</")]
    private static partial Regex PlainText();

    [GeneratedRegex("[A-Za-z]{3,}")]
    private static partial Regex Word();

    [GeneratedRegex(@"^(TokenMill|LoRA|rsLoRA|DoRA|QLoRA|AdamW|Ctrl K|float32|bfloat16|libtorch|llama\.cpp|models/starter|Apache-2\.0|curl|Python|C#|JSON)$")]
    private static partial Regex Allowed();

    [GeneratedRegex(@"\{\d+")]
    private static partial Regex Place();
}
