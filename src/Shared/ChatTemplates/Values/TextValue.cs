using TokenMill.Shared.ChatTemplates.Library;

namespace TokenMill.Shared.ChatTemplates.Values;

/// <summary>str, or Markup (text declared safe as HTML, which escapes what is added to it). Lengths and positions count code points.</summary>
internal sealed class TextValue(string text, bool isMarkup = false) : Value
{
    public static readonly TextValue Empty = new("");

    private int _length = -1;

    public string Text { get; } = text;
    public bool IsMarkup { get; } = isMarkup;
    public int Length => _length >= 0 ? _length : _length = CodePoints.Count(Text);

    public override string TypeName => IsMarkup ? "Markup" : "str";
    public override bool IsTrue => Text.Length > 0;

    /// <summary>True when every code point is one UTF-16 unit, so that positions in both agree.</summary>
    public bool IsFlat => Length == Text.Length;
}
