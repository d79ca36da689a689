using TokenMill.Shared.ChatTemplates.Values;

namespace TokenMill.Shared.ChatTemplates.Syntax;

internal enum TokenKind { Data, PrintBegin, PrintEnd, BlockBegin, BlockEnd, Name, Text, Number, Operator, End }

/// <summary>A piece of a template. <see cref="Text"/>: data, identifier, operator or the value of a string; <see cref="Value"/>: of a number.</summary>
internal readonly record struct Token(TokenKind Kind, string Text, int Line, Value? Value = null)
{
    public bool IsName(string name) => Kind == TokenKind.Name && Text == name;

    public bool IsOperator(string symbol) => Kind == TokenKind.Operator && Text == symbol;

    public override string ToString() => Kind switch
    {
        TokenKind.End => "end of template",
        TokenKind.PrintEnd => "end of print statement",
        TokenKind.BlockEnd => "end of statement block",
        TokenKind.Number => "a number",
        _ => $"'{Text}'",
    };
}
