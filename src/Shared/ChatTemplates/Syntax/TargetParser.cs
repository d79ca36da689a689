namespace TokenMill.Shared.ChatTemplates.Syntax;

/// <summary>What stands on the left of an assignment: names, attributes of a namespace, tuples of them.</summary>
internal sealed class TargetParser(TokenStream tokens, ParseContext context)
{
    public Target Parse(bool withNamespace = false)
    {
        var items = new List<Target>();
        var isTuple = false;
        while (true)
        {
            if (items.Count > 0) tokens.ExpectOperator(",");
            if (tokens.Current.Kind == TokenKind.BlockEnd || tokens.Current.IsOperator(")") || tokens.Current.IsName("in")) break;
            items.Add(ParseSingle(withNamespace));
            if (!tokens.Current.IsOperator(",")) break;
            isTuple = true;
        }
        if (!isTuple && items.Count == 0) throw tokens.Unexpected($"Expected an expression, got {tokens.Current}");
        return isTuple ? new TupleTarget(items) : items[0];
    }

    private Target ParseSingle(bool withNamespace)
    {
        if (tokens.SkipOperator("("))
        {
            context.Enter();
            var inner = Parse();
            context.Leave();
            tokens.ExpectOperator(")");
            return inner;
        }
        var name = ParseName();
        if (!withNamespace || !tokens.SkipOperator(".")) return new NameTarget(name);
        return new NamespaceTarget(name, tokens.Expect(TokenKind.Name, "a name").Text);
    }

    public string ParseName()
    {
        var token = tokens.Expect(TokenKind.Name, "a name");
        return token.Text is "true" or "false" or "none" or "True" or "False" or "None"
            ? throw TemplateException.Syntax($"can't assign to '{token.Text}'", token.Line)
            : token.Text;
    }
}
