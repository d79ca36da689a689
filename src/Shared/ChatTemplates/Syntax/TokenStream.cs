namespace TokenMill.Shared.ChatTemplates.Syntax;

internal sealed class TokenStream(List<Token> tokens)
{
    private int _index;

    public Token Current => tokens[_index];

    public Token Following => tokens[Math.Min(_index + 1, tokens.Count - 1)];

    public Token Take()
    {
        var token = tokens[_index];
        if (token.Kind != TokenKind.End) _index++;
        return token;
    }

    public bool SkipName(string name)
    {
        if (!Current.IsName(name)) return false;
        Take();
        return true;
    }

    public bool SkipOperator(string symbol)
    {
        if (!Current.IsOperator(symbol)) return false;
        Take();
        return true;
    }

    public Token Expect(TokenKind kind, string what) =>
        Current.Kind == kind ? Take() : throw Unexpected($"expected {what}, got {Current}");

    public void ExpectOperator(string symbol)
    {
        if (!SkipOperator(symbol)) throw Unexpected($"expected '{symbol}', got {Current}");
    }

    public void ExpectName(string name)
    {
        if (!SkipName(name)) throw Unexpected($"expected '{name}', got {Current}");
    }

    public TemplateException Unexpected(string message) => TemplateException.Syntax(message, Current.Line);
}
