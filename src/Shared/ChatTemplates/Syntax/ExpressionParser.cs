using TokenMill.Shared.ChatTemplates.Values;

namespace TokenMill.Shared.ChatTemplates.Syntax;

/// <summary>
/// Expressions by recursive descent, one method per level of precedence, loosest first:
/// inline if, or, and, not, comparison, + −, ~, * / // %, **, unary, postfix, filters and tests.
/// </summary>
internal sealed class ExpressionParser(TokenStream tokens, ParseContext context)
{
    private static readonly Dictionary<string, Relation> Relations = new()
    {
        ["=="] = Relation.Equal, ["!="] = Relation.NotEqual, ["<"] = Relation.Less,
        ["<="] = Relation.LessOrEqual, [">"] = Relation.Greater, [">="] = Relation.GreaterOrEqual,
    };

    private static readonly Dictionary<string, Operator> Sums = new() { ["+"] = Operator.Add, ["-"] = Operator.Subtract };

    private static readonly Dictionary<string, Operator> Products = new()
    {
        ["*"] = Operator.Multiply, ["/"] = Operator.Divide, ["//"] = Operator.FloorDivide, ["%"] = Operator.Modulo,
    };

    private static readonly Dictionary<string, Operator> Powers = new() { ["**"] = Operator.Power };

    public Expression Parse(bool withConditional = true)
    {
        context.Enter();
        var expression = withConditional ? ParseConditional() : ParseOr();
        context.Leave();
        return expression;
    }

    /// <summary>One expression, or several with commas as a tuple.</summary>
    public Expression ParseTuple(bool withConditional = true, bool inParentheses = false, string? endName = null)
    {
        var items = new List<Expression>();
        var isTuple = false;
        while (true)
        {
            if (items.Count > 0) tokens.ExpectOperator(",");
            if (tokens.Current.Kind is TokenKind.PrintEnd or TokenKind.BlockEnd || tokens.Current.IsOperator(")") || endName is not null && tokens.Current.IsName(endName)) break;
            items.Add(Parse(withConditional));
            if (!tokens.Current.IsOperator(",")) break;
            isTuple = true;
        }
        if (isTuple) return new TupleLiteral(items);
        if (items.Count > 0) return items[0];
        return inParentheses ? new TupleLiteral(items) : throw tokens.Unexpected($"Expected an expression, got {tokens.Current}");
    }

    private Expression ParseConditional()
    {
        var usedBefore = context.UsedCount;
        var expression = ParseOr();
        for (var chain = 0; tokens.SkipName("if"); CheckChain(++chain))
        {
            var test = ParseOr();
            var otherwise = tokens.SkipName("else") ? Parse() : null;
            context.MakeConditional(usedBefore);
            expression = new Conditional(test, expression, otherwise);
        }
        return expression;
    }

    private Expression ParseOr()
    {
        var left = ParseAnd();
        for (var chain = 0; tokens.SkipName("or"); CheckChain(++chain)) left = new Or(left, ParseAnd());
        return left;
    }

    private Expression ParseAnd()
    {
        var left = ParseNot();
        for (var chain = 0; tokens.SkipName("and"); CheckChain(++chain)) left = new And(left, ParseNot());
        return left;
    }

    private Expression ParseNot()
    {
        if (!tokens.SkipName("not")) return ParseComparison();
        context.Enter();
        var operand = ParseNot();
        context.Leave();
        return new Not(operand);
    }

    private Expression ParseComparison()
    {
        var first = ParseSum();
        List<(Relation, Expression)>? rest = null;
        while (NextRelation() is { } relation) (rest ??= []).Add((relation, ParseSum()));
        return rest is null ? first : new Comparison(first, rest);
    }

    private Relation? NextRelation()
    {
        if (tokens.Current.Kind == TokenKind.Operator && Relations.TryGetValue(tokens.Current.Text, out var relation))
        {
            tokens.Take();
            return relation;
        }
        if (tokens.SkipName("in")) return Relation.In;
        if (!tokens.Current.IsName("not") || !tokens.Following.IsName("in")) return null;
        tokens.Take();
        tokens.Take();
        return Relation.NotIn;
    }

    private Expression ParseSum() => ParseChain(Sums, ParseConcatenation);

    private Expression ParseConcatenation()
    {
        var first = ParseProduct();
        if (!tokens.Current.IsOperator("~")) return first;
        var parts = new List<Expression> { first };
        while (tokens.SkipOperator("~")) parts.Add(ParseProduct());
        return new Concatenation(parts);
    }

    private Expression ParseProduct() => ParseChain(Products, ParsePower);

    private Expression ParsePower() => ParseChain(Powers, () => ParseUnary());

    private Expression ParseChain(Dictionary<string, Operator> operators, Func<Expression> operand)
    {
        var left = operand();
        for (var chain = 0; tokens.Current.Kind == TokenKind.Operator && operators.TryGetValue(tokens.Current.Text, out var operation); CheckChain(++chain))
        {
            tokens.Take();
            left = new Binary(operation, left, operand());
        }
        return left;
    }

    private Expression ParseUnary(bool withFilters = true)
    {
        Expression expression;
        if (tokens.Current.IsOperator("-") || tokens.Current.IsOperator("+"))
        {
            var negative = tokens.Take().Text == "-";
            context.Enter();
            expression = new Unary(negative, ParseUnary(withFilters: false));
            context.Leave();
        }
        else expression = ParsePrimary();
        expression = ParsePostfix(expression);
        return withFilters ? ParseFiltersAndTests(expression) : expression;
    }

    private Expression ParsePrimary()
    {
        var token = tokens.Take();
        switch (token.Kind)
        {
            case TokenKind.Name: return NameOrConstant(token.Text);
            case TokenKind.Number: return new Constant(token.Value!);
            case TokenKind.Text:
                var text = token.Text;
                while (tokens.Current.Kind == TokenKind.Text) text += tokens.Take().Text;
                return new Constant(new TextValue(text));
            case TokenKind.Operator when token.Text == "(":
                context.Enter();
                var inner = ParseTuple(inParentheses: true);
                context.Leave();
                tokens.ExpectOperator(")");
                return inner;
            case TokenKind.Operator when token.Text == "[": return new ListLiteral(ParseItems("]", () => Parse()));
            case TokenKind.Operator when token.Text == "{": return new MapLiteral(ParseItems("}", ParseEntry));
            default: throw TemplateException.Syntax($"unexpected {token}", token.Line);
        }
    }

    private Expression NameOrConstant(string name)
    {
        switch (name)
        {
            case "true" or "True": return new Constant(BooleanValue.True);
            case "false" or "False": return new Constant(BooleanValue.False);
            case "none" or "None": return new Constant(NoneValue.Instance);
        }
        context.Read(name);
        return new Name(name);
    }

    private List<T> ParseItems<T>(string closing, Func<T> item)
    {
        var items = new List<T>();
        while (!tokens.Current.IsOperator(closing))
        {
            if (items.Count > 0) tokens.ExpectOperator(",");
            if (tokens.Current.IsOperator(closing)) break;
            items.Add(item());
        }
        tokens.ExpectOperator(closing);
        return items;
    }

    private (Expression, Expression) ParseEntry()
    {
        var key = Parse();
        tokens.ExpectOperator(":");
        return (key, Parse());
    }

    private Expression ParsePostfix(Expression expression)
    {
        for (var chain = 0; ; CheckChain(++chain))
        {
            if (tokens.SkipOperator(".")) expression = ParseMember(expression);
            else if (tokens.SkipOperator("[")) expression = ParseSubscript(expression);
            else if (tokens.Current.IsOperator("(")) expression = new Call(expression, ParseArguments());
            else return expression;
        }
    }

    private Expression ParseMember(Expression owner)
    {
        var member = tokens.Take();
        if (member.Kind == TokenKind.Name) return new AttributeAccess(owner, member.Text);
        if (member.Kind == TokenKind.Number && member.Value is IntegerValue) return new ItemAccess(owner, new Constant(member.Value));
        throw TemplateException.Syntax("expected name or number", member.Line);
    }

    private Expression ParseSubscript(Expression owner)
    {
        var keys = new List<Expression>();
        while (!tokens.Current.IsOperator("]"))
        {
            if (keys.Count > 0) tokens.ExpectOperator(",");
            var start = tokens.Current.IsOperator(":") ? null : Parse();
            if (!tokens.SkipOperator(":"))
            {
                keys.Add(start!);
                continue;
            }
            var stop = SlicePart();
            var step = tokens.SkipOperator(":") ? SlicePart() : null;
            if (keys.Count > 0 || !tokens.SkipOperator("]")) throw tokens.Unexpected("a slice stands alone between brackets");
            return new SliceAccess(owner, start, stop, step);
        }
        tokens.ExpectOperator("]");
        return new ItemAccess(owner, keys.Count == 1 ? keys[0] : new TupleLiteral(keys));
    }

    private Expression? SlicePart() =>
        tokens.Current.IsOperator(":") || tokens.Current.IsOperator("]") || tokens.Current.IsOperator(",") ? null : Parse();

    private Expression ParseFiltersAndTests(Expression expression)
    {
        for (var chain = 0; ; CheckChain(++chain))
        {
            if (tokens.SkipOperator("|")) expression = ParseFilter(expression);
            else if (tokens.SkipName("is")) expression = ParseTest(expression);
            else if (tokens.Current.IsOperator("(")) expression = new Call(expression, ParseArguments());
            else return expression;
        }
    }

    /// <summary>After the bar: a name and perhaps arguments.</summary>
    public Expression ParseFilter(Expression? input)
    {
        var line = tokens.Current.Line;
        var name = DottedName();
        context.Use("filter", name, line);
        return new Filtered(input, name, tokens.Current.IsOperator("(") ? ParseArguments() : Arguments.None);
    }

    /// <summary>The filters of a set or filter block: what follows one bar after another.</summary>
    public Expression? ParseFilters(Expression? input)
    {
        for (var chain = 0; tokens.SkipOperator("|"); CheckChain(++chain)) input = ParseFilter(input);
        return input;
    }

    private Expression ParseTest(Expression input)
    {
        var negated = tokens.SkipName("not");
        var line = tokens.Current.Line;
        var name = DottedName();
        context.Use("test", name, line);
        var arguments = Arguments.None;
        if (tokens.Current.IsOperator("(")) arguments = ParseArguments();
        else if (BeginsTestArgument(tokens.Current))
        {
            if (tokens.Current.IsName("is")) throw tokens.Unexpected("You cannot chain multiple tests with is");
            arguments = Arguments.None with { Positional = [ParsePostfix(ParsePrimary())] };
        }
        var test = new Tested(input, name, arguments);
        return negated ? new Not(test) : test;
    }

    private static bool BeginsTestArgument(Token token) => token.Kind switch
    {
        TokenKind.Name => token.Text is not ("else" or "or" or "and"),
        TokenKind.Text or TokenKind.Number => true,
        TokenKind.Operator => token.Text is "[" or "{",
        _ => false,
    };

    private string DottedName()
    {
        var name = tokens.Expect(TokenKind.Name, "a name").Text;
        while (tokens.SkipOperator(".")) name += "." + tokens.Expect(TokenKind.Name, "a name").Text;
        return name;
    }

    public Arguments ParseArguments()
    {
        var line = tokens.Current.Line;
        tokens.ExpectOperator("(");
        context.Enter();
        var positional = new List<Expression>();
        var named = new List<(string Name, Expression)>();
        Expression? rest = null, restNamed = null;
        for (var first = true; !tokens.Current.IsOperator(")"); first = false)
        {
            if (!first) tokens.ExpectOperator(",");
            if (tokens.Current.IsOperator(")")) break;
            var ordered = restNamed is null;
            if (tokens.SkipOperator("*")) (ordered, rest) = (ordered && rest is null, Parse());
            else if (tokens.SkipOperator("**")) restNamed = Parse();
            else if (tokens.Current.Kind == TokenKind.Name && tokens.Following.IsOperator("="))
            {
                var name = tokens.Take().Text;
                tokens.Take();
                ordered = ordered && named.TrueForAll(n => n.Name != name);
                named.Add((name, Parse()));
            }
            else
            {
                ordered = ordered && rest is null && named.Count == 0;
                positional.Add(Parse());
            }
            if (!ordered) throw TemplateException.Syntax("invalid syntax for function call expression", line);
        }
        context.Leave();
        tokens.ExpectOperator(")");
        return new Arguments(positional, named, rest, restNamed);
    }

    private static void CheckChain(int length)
    {
        if (length > ParseContext.MaxChain) throw TemplateException.OverBudget("terms in one expression");
    }
}
