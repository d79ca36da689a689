using System.Text;

namespace TokenMill.Shared.ChatTemplates.Library;

/// <summary>Text that grows within the budget.</summary>
internal sealed class TextBuffer(Budget budget)
{
    private readonly StringBuilder _text = new();

    public TextBuffer Append(string text)
    {
        budget.Text(text.Length);
        _text.Append(text);
        return this;
    }

    public TextBuffer Append(char character)
    {
        budget.Text(1);
        _text.Append(character);
        return this;
    }

    public override string ToString() => _text.ToString();
}
