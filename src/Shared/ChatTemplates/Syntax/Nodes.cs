using TokenMill.Shared.ChatTemplates.Values;

namespace TokenMill.Shared.ChatTemplates.Syntax;

internal abstract record Expression;

internal sealed record Constant(Value Value) : Expression;
internal sealed record Name(string Identifier) : Expression;
internal sealed record TupleLiteral(IReadOnlyList<Expression> Items) : Expression;
internal sealed record ListLiteral(IReadOnlyList<Expression> Items) : Expression;
internal sealed record MapLiteral(IReadOnlyList<(Expression Key, Expression Value)> Entries) : Expression;
internal sealed record Unary(bool Negative, Expression Operand) : Expression;
internal sealed record Binary(Operator Operator, Expression Left, Expression Right) : Expression;
internal sealed record Not(Expression Operand) : Expression;
internal sealed record And(Expression Left, Expression Right) : Expression;
internal sealed record Or(Expression Left, Expression Right) : Expression;
internal sealed record Comparison(Expression First, IReadOnlyList<(Relation Relation, Expression Operand)> Rest) : Expression;
internal sealed record Concatenation(IReadOnlyList<Expression> Parts) : Expression;
internal sealed record Conditional(Expression Test, Expression Then, Expression? Else) : Expression;
internal sealed record AttributeAccess(Expression Owner, string Attribute) : Expression;
internal sealed record ItemAccess(Expression Owner, Expression Key) : Expression;
internal sealed record SliceAccess(Expression Owner, Expression? Start, Expression? Stop, Expression? Step) : Expression;
internal sealed record Call(Expression Callee, Arguments Arguments) : Expression;

/// <summary>A filter; without <see cref="Input"/> it works on the text of its block.</summary>
internal sealed record Filtered(Expression? Input, string Filter, Arguments Arguments) : Expression;
internal sealed record Tested(Expression Input, string Test, Arguments Arguments) : Expression;

internal enum Operator { Add, Subtract, Multiply, Divide, FloorDivide, Modulo, Power }

internal enum Relation { Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual, In, NotIn }

internal sealed record Arguments(
    IReadOnlyList<Expression> Positional,
    IReadOnlyList<(string Name, Expression Value)> Named,
    Expression? RestPositional,
    Expression? RestNamed)
{
    public static readonly Arguments None = new([], [], null, null);
}

/// <summary>What <c>set</c>, <c>for</c> and <c>with</c> assign to.</summary>
internal abstract record Target;

internal sealed record NameTarget(string Identifier) : Target;
internal sealed record NamespaceTarget(string Namespace, string Attribute) : Target;
internal sealed record TupleTarget(IReadOnlyList<Target> Items) : Target;

internal abstract record Statement;

internal sealed record TextOutput(string Text) : Statement;
internal sealed record Print(Expression Value) : Statement;
internal sealed record If(IReadOnlyList<(Expression Test, IReadOnlyList<Statement> Body)> Branches, IReadOnlyList<Statement> Else) : Statement;
internal sealed record For(Target Target, Expression Items, Expression? Test, bool Recursive, IReadOnlyList<Statement> Body, IReadOnlyList<Statement> Else) : Statement;
internal sealed record Break : Statement;
internal sealed record Continue : Statement;
internal sealed record Set(Target Target, Expression Value) : Statement;
internal sealed record SetBlock(Target Target, Expression? Filter, IReadOnlyList<Statement> Body) : Statement;
internal sealed record FilterBlock(Expression Filter, IReadOnlyList<Statement> Body) : Statement;
internal sealed record With(IReadOnlyList<(Target Target, Expression Value)> Bindings, IReadOnlyList<Statement> Body) : Statement;
internal sealed record MacroStatement(MacroDefinition Macro) : Statement;
internal sealed record CallBlock(Call Call, MacroDefinition Caller) : Statement;

/// <summary>A body with a scope of its own that is printed where it stands: <c>generation</c> and <c>block</c>.</summary>
internal sealed record ScopedBlock(IReadOnlyList<Statement> Body) : Statement;

/// <summary>A statement that needs other templates, of which a chat template has none: an error, but only when it is reached.</summary>
internal sealed record NeedsLoader : Statement;

internal sealed record MacroDefinition(
    string? Name,
    IReadOnlyList<(string Name, Expression? Default)> Parameters,
    IReadOnlyList<Statement> Body,
    bool UsesCaller,
    bool UsesRestNamed,
    bool UsesRestPositional);
