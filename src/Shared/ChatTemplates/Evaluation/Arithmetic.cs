using System.Globalization;
using System.Numerics;
using TokenMill.Shared.ChatTemplates.Library;
using TokenMill.Shared.ChatTemplates.Syntax;
using TokenMill.Shared.ChatTemplates.Values;

namespace TokenMill.Shared.ChatTemplates.Evaluation;

/// <summary>Python's operators on numbers, texts and lists.</summary>
internal static class Arithmetic
{
    /// <summary>Whole numbers beyond this serve no template.</summary>
    private const long MaxBits = 1 << 14;

    /// <summary>Up to here every whole number is a double.</summary>
    private const long MaxExact = 1L << 53;

    public static Value Apply(Operator operation, Value left, Value right, Rendering rendering)
    {
        if (left is UndefinedValue undefinedLeft) throw undefinedLeft.Failure();
        if (right is UndefinedValue undefinedRight && (operation != Operator.Modulo || left is not TextValue)) throw undefinedRight.Failure();
        rendering.Budget.Look(left);
        rendering.Budget.Look(right);
        return operation switch
        {
            Operator.Add => Add(left, right, rendering.Budget),
            Operator.Multiply => Multiply(left, right, rendering.Budget),
            Operator.Modulo when left is TextValue format => PercentFormat.Apply(format, right, rendering),
            _ when left is IntegerValue a && right is IntegerValue b => Integers(operation, a.Number, b.Number),
            _ when left is NumberValue a && right is NumberValue b => Floats(operation, ToDouble(a), ToDouble(b)),
            _ => throw Unsupported(Symbol(operation), left, right),
        };
    }

    public static Value Negate(Value value, bool negative) => value switch
    {
        UndefinedValue undefined => throw undefined.Failure(),
        IntegerValue number => IntegerValue.Of(negative ? -number.Number : number.Number),
        FloatValue number => new FloatValue(negative ? -number.Number : number.Number),
        _ => throw TemplateException.TypeError($"bad operand type for unary {(negative ? '-' : '+')}: '{value.TypeName}'"),
    };

    public static double ToDouble(NumberValue value)
    {
        if (value is FloatValue number) return number.Number;
        var result = Nearest(((IntegerValue)value).Number);
        return double.IsInfinity(result) ? throw TemplateException.Error("OverflowError", "int too large to convert to float") : result;
    }

    public static Value Add(Value left, Value right, Budget budget)
    {
        switch (left, right)
        {
            case (TextValue a, TextValue b):
                if (a.IsMarkup != b.IsMarkup) (a, b) = (Printer.Escape(a, budget), Printer.Escape(b, budget));
                budget.Text(a.Text.Length + b.Text.Length);
                return new TextValue(a.Text + b.Text, a.IsMarkup);
            case (IntegerValue a, IntegerValue b): return IntegerValue.Of(Checked(a.Number + b.Number));
            case (NumberValue a, NumberValue b): return new FloatValue(ToDouble(a) + ToDouble(b));
            case (ListValue a, ListValue b): return new ListValue(Join(a, b, budget));
            case (TupleValue a, TupleValue b): return new TupleValue(Join(a, b, budget));
            case (TextValue, _): throw TemplateException.TypeError($"can only concatenate str (not \"{right.TypeName}\") to str");
            case (ListValue, _): throw TemplateException.TypeError($"can only concatenate list (not \"{right.TypeName}\") to list");
            default: throw Unsupported("+", left, right);
        }
    }

    private static Value[] Join(SequenceValue a, SequenceValue b, Budget budget)
    {
        budget.Items(a.Items.Count + b.Items.Count);
        return [.. a.Items, .. b.Items];
    }

    private static Value Multiply(Value left, Value right, Budget budget)
    {
        switch (left, right)
        {
            case (IntegerValue a, IntegerValue b): return IntegerValue.Of(Checked(a.Number * b.Number));
            case (NumberValue a, NumberValue b): return new FloatValue(ToDouble(a) * ToDouble(b));
            case (IntegerValue count, TextValue or SequenceValue): return Repeat(right, count.Number, budget);
            case (TextValue or SequenceValue, IntegerValue count): return Repeat(left, count.Number, budget);
            default: throw Unsupported("*", left, right);
        }
    }

    private static Value Repeat(Value value, BigInteger times, Budget budget)
    {
        var count = (int)BigInteger.Clamp(times, 0, int.MaxValue);
        if (value is TextValue text)
        {
            budget.Text((long)text.Text.Length * count);
            return new TextValue(text.Text.Length == 0 ? "" : string.Concat(Enumerable.Repeat(text.Text, count)), text.IsMarkup);
        }
        var items = ((SequenceValue)value).Items;
        budget.Items((long)items.Count * count);
        Value[] repeated = items.Count == 0 ? [] : [.. Enumerable.Repeat(items, count).SelectMany(i => i)];
        return value is ListValue ? new ListValue(repeated) : new TupleValue(repeated);
    }

    private static Value Integers(Operator operation, BigInteger a, BigInteger b)
    {
        switch (operation)
        {
            case Operator.Subtract: return IntegerValue.Of(Checked(a - b));
            case Operator.Divide: return b.IsZero ? throw DivisionByZero() : new FloatValue(Quotient(a, b));
            case Operator.FloorDivide: return b.IsZero ? throw DivisionByZero() : IntegerValue.Of(FloorDivide(a, b));
            case Operator.Modulo: return b.IsZero ? throw DivisionByZero() : IntegerValue.Of(a - FloorDivide(a, b) * b);
            default:
                if (b.Sign < 0) return Floats(operation, Nearest(a), Nearest(b));
                if (BigInteger.Abs(a) <= 1) return IntegerValue.Of(b.IsZero ? 1 : a.Sign < 0 && b.IsEven ? 1 : a);
                if (b > MaxBits || (a.GetBitLength() - 1) * (long)b > MaxBits) throw TemplateException.OverBudget("digits in a number");
                return IntegerValue.Of(BigInteger.Pow(a, (int)b));
        }
    }

    private static BigInteger FloorDivide(BigInteger a, BigInteger b)
    {
        var quotient = BigInteger.DivRem(a, b, out var remainder);
        return !remainder.IsZero && remainder.Sign != b.Sign ? quotient - 1 : quotient;
    }

    /// <summary>The nearest double to a ÷ b, also where the numbers themselves are too large for one.</summary>
    private static double Quotient(BigInteger a, BigInteger b)
    {
        if (BigInteger.Abs(a) <= MaxExact && BigInteger.Abs(b) <= MaxExact) return (double)a / (double)b;
        var shift = 66 - (int)(BigInteger.Abs(a).GetBitLength() - BigInteger.Abs(b).GetBitLength());
        var quotient = BigInteger.DivRem(shift >= 0 ? a << shift : a, shift >= 0 ? b : b << -shift, out var remainder);
        if (!remainder.IsZero && quotient.IsEven) quotient += a.Sign * b.Sign;
        var result = Math.ScaleB(Nearest(quotient), -shift);
        return double.IsInfinity(result) ? throw TemplateException.Error("OverflowError", "integer division result too large for a float") : result;
    }

    /// <summary>.NET cuts a large whole number to the double below it; Python rounds.</summary>
    private static double Nearest(BigInteger number) =>
        BigInteger.Abs(number) <= MaxExact ? (double)number : double.Parse(number.ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);

    private static Value Floats(Operator operation, double a, double b)
    {
        if (operation == Operator.Subtract) return new FloatValue(a - b);
        if (operation == Operator.Power) return new FloatValue(Power(a, b));
        if (b == 0) throw DivisionByZero();
        if (operation == Operator.Divide) return new FloatValue(a / b);
        var modulo = a % b;
        if (modulo != 0 && modulo < 0 != b < 0) modulo += b;
        if (operation == Operator.Modulo) return new FloatValue(modulo == 0 ? Math.CopySign(0, b) : modulo);
        var quotient = (a - modulo) / b;
        var floor = Math.Floor(quotient);
        return new FloatValue(quotient == 0 ? Math.CopySign(0, a / b) : quotient - floor > 0.5 ? floor + 1 : floor);
    }

    private static double Power(double a, double b)
    {
        if (a == 0 && b < 0) throw TemplateException.Error("ZeroDivisionError", "0.0 cannot be raised to a negative power");
        if (a < 0 && b != Math.Floor(b) && double.IsFinite(b)) throw TemplateException.TypeError("complex numbers are not supported");
        var result = Math.Pow(a, b);
        return double.IsInfinity(result) && double.IsFinite(a) && double.IsFinite(b) ? throw TemplateException.Error("OverflowError", "Numerical result out of range") : result;
    }

    private static BigInteger Checked(BigInteger number) =>
        number.GetBitLength() <= MaxBits ? number : throw TemplateException.OverBudget("digits in a number");

    private static TemplateException DivisionByZero() => TemplateException.Error("ZeroDivisionError", "division by zero");

    private static TemplateException Unsupported(string symbol, Value left, Value right) =>
        TemplateException.TypeError($"unsupported operand type(s) for {symbol}: '{left.TypeName}' and '{right.TypeName}'");

    private static string Symbol(Operator operation) => operation switch
    {
        Operator.Subtract => "-",
        Operator.Divide => "/",
        Operator.FloorDivide => "//",
        Operator.Modulo => "%",
        Operator.Power => "** or pow()",
        Operator.Add => "+",
        _ => "*",
    };
}
