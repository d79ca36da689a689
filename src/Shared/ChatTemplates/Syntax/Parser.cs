namespace TokenMill.Shared.ChatTemplates.Syntax;

/// <summary>Statements: from the tokens of a template to its tree.</summary>
internal sealed class Parser
{
    private readonly TokenStream _tokens;
    private readonly ParseContext _context = new();
    private readonly ExpressionParser _expressions;
    private readonly TargetParser _targets;

    private Parser(string source)
    {
        _tokens = new TokenStream(Lexer.Tokenize(source));
        _expressions = new ExpressionParser(_tokens, _context);
        _targets = new TargetParser(_tokens, _context);
    }

    public static IReadOnlyList<Statement> Parse(string source)
    {
        var parser = new Parser(source);
        var body = parser.ParseBody([]);
        parser._context.CheckNames();
        return body;
    }

    /// <summary>Statements up to a block that begins with one of the end names, or to the end of the template where there are none.</summary>
    private List<Statement> ParseBody(string[] endNames)
    {
        _context.Enter();
        var body = new List<Statement>();
        while (true)
        {
            var token = _tokens.Take();
            if (token.Kind == TokenKind.Data) body.Add(new TextOutput(token.Text));
            else if (token.Kind == TokenKind.PrintBegin)
            {
                body.Add(new Print(_expressions.ParseTuple()));
                _tokens.Expect(TokenKind.PrintEnd, "end of print statement");
            }
            else if (token.Kind == TokenKind.BlockBegin)
            {
                if (_tokens.Current.Kind == TokenKind.Name && endNames.Contains(_tokens.Current.Text)) break;
                ParseStatement(body);
                _tokens.Expect(TokenKind.BlockEnd, "end of statement block");
            }
            else if (endNames.Length == 0) break;
            else throw TemplateException.Syntax($"Unexpected end of template. Looking for '{string.Join("' or '", endNames)}'", token.Line);
        }
        _context.Leave();
        return body;
    }

    /// <summary>The body of a block, from the end of its opening tag to the name that ends it, which is taken too.</summary>
    private List<Statement> ParseBlock(out string end, params string[] endNames)
    {
        _tokens.SkipOperator(":");
        _tokens.Expect(TokenKind.BlockEnd, "end of statement block");
        var body = ParseBody(endNames);
        end = _tokens.Take().Text;
        return body;
    }

    private List<Statement> ParseBlock(string endName) => ParseBlock(out _, endName);

    /// <summary>A body in a frame of its own: what is set there stays there, and unknown filters count as in the open.</summary>
    private List<Statement> ParseScopedBlock(out string end, params string[] endNames)
    {
        var conditional = _context.IsConditional;
        _context.IsConditional = false;
        var body = ParseBlock(out end, endNames);
        _context.IsConditional = conditional;
        return body;
    }

    private void ParseStatement(List<Statement> body)
    {
        var tag = _tokens.Expect(TokenKind.Name, "a tag name");
        switch (tag.Text)
        {
            case "if": body.Add(ParseIf()); break;
            case "for": body.Add(ParseFor()); break;
            case "set": body.Add(ParseSet()); break;
            case "with": body.Add(ParseWith()); break;
            case "macro":
                var name = _targets.ParseName();
                body.Add(new MacroStatement(ParseMacro(name, ParseParameters(), "endmacro")));
                break;
            case "call": body.Add(ParseCallBlock(tag.Line)); break;
            case "filter":
                var filter = _expressions.ParseFilters(_expressions.ParseFilter(null))!;
                body.Add(new FilterBlock(filter, ParseScopedBlock(out _, "endfilter")));
                break;
            case "generation": body.Add(new ScopedBlock(ParseMacro(null, [], "endgeneration").Body)); break;
            case "block": body.Add(ParseNamedBlock()); break;
            case "print": ParsePrint(body); break;
            case "break" or "continue":
                if (_context.LoopDepth == 0) throw TemplateException.Syntax($"'{tag.Text}' outside loop", tag.Line);
                body.Add(tag.Text == "break" ? new Break() : new Continue());
                break;
            case "include" or "import" or "from" or "extends":
                while (_tokens.Current.Kind is not (TokenKind.BlockEnd or TokenKind.End)) _tokens.Take();
                body.Add(new NeedsLoader());
                break;
            default: throw TemplateException.Syntax($"Encountered unknown tag '{tag.Text}'.", tag.Line);
        }
    }

    private If ParseIf()
    {
        var conditional = _context.IsConditional;
        var branches = new List<(Expression, IReadOnlyList<Statement>)>();
        string end;
        do
        {
            _context.IsConditional = true;
            var test = _expressions.ParseTuple(withConditional: false);
            branches.Add((test, ParseBlock(out end, "elif", "else", "endif")));
        }
        while (end == "elif");
        var otherwise = end == "else" ? ParseBlock("endif") : [];
        _context.IsConditional = conditional;
        return new If(branches, otherwise);
    }

    private For ParseFor()
    {
        var target = _targets.Parse();
        _context.ForDepth++;
        CheckLoopName(target);
        _tokens.ExpectName("in");
        var items = _expressions.ParseTuple(withConditional: false, endName: "recursive");
        var conditional = _context.IsConditional;
        _context.IsConditional = false;
        var test = _tokens.SkipName("if") ? _expressions.Parse() : null;
        _context.IsConditional = conditional;
        var recursive = _tokens.SkipName("recursive");
        _context.LoopDepth++;
        var body = ParseScopedBlock(out var end, "endfor", "else");
        _context.LoopDepth--;
        var otherwise = end == "else" ? ParseScopedBlock(out _, "endfor") : [];
        _context.ForDepth--;
        return new For(target, items, test, recursive, body, otherwise);
    }

    private void CheckLoopName(Target target)
    {
        if (_context.ForDepth > 0 && Names(target).Contains("loop")) throw _tokens.Unexpected("Can't assign to special loop variable in for-loop target");
    }

    private static IEnumerable<string> Names(Target target) => target switch
    {
        NameTarget name => [name.Identifier],
        TupleTarget tuple => tuple.Items.SelectMany(Names),
        _ => [],
    };

    private Statement ParseSet()
    {
        var target = _targets.Parse(withNamespace: true);
        CheckLoopName(target);
        if (_tokens.SkipOperator("=")) return new Set(target, _expressions.ParseTuple());
        var filter = _expressions.ParseFilters(null);
        return new SetBlock(target, filter, ParseScopedBlock(out _, "endset"));
    }

    private With ParseWith()
    {
        var bindings = new List<(Target, Expression)>();
        while (_tokens.Current.Kind is not (TokenKind.BlockEnd or TokenKind.End))
        {
            if (bindings.Count > 0) _tokens.ExpectOperator(",");
            var target = _targets.Parse();
            _tokens.ExpectOperator("=");
            bindings.Add((target, _expressions.Parse()));
        }
        return new With(bindings, ParseScopedBlock(out _, "endwith"));
    }

    private List<(string, Expression?)> ParseParameters()
    {
        _tokens.ExpectOperator("(");
        var parameters = new List<(string Name, Expression? Default)>();
        while (!_tokens.Current.IsOperator(")"))
        {
            if (parameters.Count > 0) _tokens.ExpectOperator(",");
            var name = _targets.ParseName();
            if (parameters.Exists(p => p.Name == name)) throw _tokens.Unexpected($"duplicate argument '{name}' in macro definition");
            var value = _tokens.SkipOperator("=") ? _expressions.Parse() : null;
            if (value is null && parameters.Exists(p => p.Default is not null)) throw _tokens.Unexpected("non-default argument follows default argument");
            parameters.Add((name, value));
        }
        _tokens.ExpectOperator(")");
        return parameters;
    }

    private MacroDefinition ParseMacro(string? name, List<(string Name, Expression? Default)> parameters, string end)
    {
        _context.BeginMacro();
        var loopDepth = _context.LoopDepth;
        _context.LoopDepth = 0;
        var body = ParseScopedBlock(out _, end);
        _context.LoopDepth = loopDepth;
        var reads = _context.EndMacro();
        if (reads.Contains("caller") && parameters.Exists(p => p is { Name: "caller", Default: null }))
            throw _tokens.Unexpected("the special \"caller\" argument must be omitted or be given a default.");
        bool Special(string special) => reads.Contains(special) && !parameters.Exists(p => p.Name == special);
        return new MacroDefinition(name, parameters, body, reads.Contains("caller"), Special("kwargs"), Special("varargs"));
    }

    private CallBlock ParseCallBlock(int line)
    {
        var parameters = _tokens.Current.IsOperator("(") ? ParseParameters() : [];
        if (_expressions.Parse() is not Call call) throw TemplateException.Syntax("expected call", line);
        return new CallBlock(call, ParseMacro(null, parameters, "endcall"));
    }

    private ScopedBlock ParseNamedBlock()
    {
        var name = _tokens.Expect(TokenKind.Name, "a name").Text;
        _tokens.SkipName("scoped");
        _tokens.SkipName("required");
        var body = ParseScopedBlock(out _, "endblock");
        _tokens.SkipName(name);
        return new ScopedBlock(body);
    }

    private void ParsePrint(List<Statement> body)
    {
        for (var first = true; _tokens.Current.Kind is not (TokenKind.BlockEnd or TokenKind.End); first = false)
        {
            if (!first) _tokens.ExpectOperator(",");
            body.Add(new Print(_expressions.Parse()));
        }
    }
}
