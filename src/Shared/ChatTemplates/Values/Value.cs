using System.Numerics;

namespace TokenMill.Shared.ChatTemplates.Values;

/// <summary>
/// A value as a template sees it, with the meaning Python gives it. The set of kinds is closed and none wraps a .NET object,
/// so there is nothing for a template to reach: what a value can do is listed in Library.
/// </summary>
internal abstract class Value
{
    /// <summary>Python's name of the type, for messages.</summary>
    public abstract string TypeName { get; }

    public virtual bool IsTrue => true;
}

internal sealed class NoneValue : Value
{
    public static readonly NoneValue Instance = new();

    public override string TypeName => "NoneType";
    public override bool IsTrue => false;
}

/// <summary>bool, int or float: Python's numbers compare and calculate with each other.</summary>
internal abstract class NumberValue : Value;

/// <summary>int, and bool below it: whole numbers of any size.</summary>
internal class IntegerValue : NumberValue
{
    private const int SmallestShared = -16, LargestShared = 1024;
    private static readonly IntegerValue[] Shared = [.. Enumerable.Range(SmallestShared, LargestShared - SmallestShared + 1).Select(i => new IntegerValue(i))];

    protected IntegerValue(BigInteger number) => Number = number;

    public BigInteger Number { get; }
    public override string TypeName => "int";
    public override bool IsTrue => !Number.IsZero;

    public static IntegerValue Of(BigInteger number) =>
        number >= SmallestShared && number <= LargestShared ? Shared[(int)number - SmallestShared] : new IntegerValue(number);
}

internal sealed class BooleanValue : IntegerValue
{
    public static readonly BooleanValue True = new(BigInteger.One), False = new(BigInteger.Zero);

    private BooleanValue(BigInteger number) : base(number) { }

    public override string TypeName => "bool";

    public static BooleanValue Of(bool value) => value ? True : False;
}

internal sealed class FloatValue(double number) : NumberValue
{
    public double Number { get; } = number;
    public override string TypeName => "float";
    public override bool IsTrue => Number != 0;
}

/// <summary>What a missing name, key or attribute gives: prints as nothing, iterates as empty, fails on anything else.</summary>
internal sealed class UndefinedValue : Value
{
    private readonly Func<string> _message;

    private UndefinedValue(Func<string> message, string errorType) => (_message, ErrorType) = (message, errorType);

    public string ErrorType { get; }
    public override string TypeName => "Undefined";
    public override bool IsTrue => false;

    public TemplateException Failure() => TemplateException.Error(ErrorType, _message());

    public static UndefinedValue Name(string name) => new(() => $"'{name}' is undefined", "UndefinedError");

    public static UndefinedValue Member(Value owner, string member) => new(() => $"'{Describe(owner)}' has no attribute '{member}'", "UndefinedError");

    public static UndefinedValue Element(Value owner) => new(() => $"{Describe(owner)} has no such element", "UndefinedError");

    public static UndefinedValue Because(string message) => new(() => message, "UndefinedError");

    public static UndefinedValue Unsafe(Value owner, string member) => new(() => $"access to attribute '{member}' of '{owner.TypeName}' object is unsafe.", "SecurityError");

    private static string Describe(Value owner) => owner is NoneValue ? "None" : owner.TypeName + " object";
}
