using TokenMill.Shared.ChatTemplates.Library;
using TokenMill.Shared.ChatTemplates.Syntax;
using TokenMill.Shared.ChatTemplates.Values;

namespace TokenMill.Shared.ChatTemplates.Evaluation;

/// <summary>
/// Runs the statements of a template. Which blocks make a scope of their own is Jinja's rule: loops (each round), macros, call, set, filter
/// and with blocks do; if does not.
/// </summary>
internal sealed class Evaluator
{
    private const int StepsPerRound = 4;

    private readonly Budget _budget;
    private readonly ExpressionEvaluator _expressions;
    private readonly MacroCalls _macros;
    private TextBuffer _output;

    private Evaluator(Rendering rendering)
    {
        _budget = rendering.Budget;
        _output = new TextBuffer(_budget);
        _expressions = new ExpressionEvaluator(rendering, (macro, arguments) => _macros!.Call(macro, arguments));
        _macros = new MacroCalls(rendering, _expressions, (body, scope) => Capture(body, scope).Text);
    }

    private enum Flow { Next, Break, Continue }

    public static string Render(IReadOnlyList<Statement> template, IReadOnlyDictionary<string, Value> variables, Rendering rendering)
    {
        var evaluator = new Evaluator(rendering);
        evaluator.Run(template, new Scope(null, variables));
        return evaluator._output.ToString();
    }

    private Flow Run(IReadOnlyList<Statement> body, Scope scope)
    {
        _budget.Enter();
        var flow = Flow.Next;
        for (var i = 0; i < body.Count && flow == Flow.Next; i++) flow = Run(body[i], scope);
        _budget.Leave();
        return flow;
    }

    private Flow Run(Statement statement, Scope scope)
    {
        _budget.Step();
        switch (statement)
        {
            case TextOutput text: _output.Append(text.Text); return Flow.Next;
            case Print print: _output.Append(Printer.Str(_expressions.Evaluate(print.Value, scope), _budget)); return Flow.Next;
            case If branch: return RunIf(branch, scope);
            case For loop: return RunFor(loop, scope);
            case Set set: Assign(set.Target, _expressions.Evaluate(set.Value, scope), scope); return Flow.Next;
            case SetBlock set: return RunSetBlock(set, scope);
            case FilterBlock filter: return RunFilterBlock(filter, scope);
            case With with: return RunWith(with, scope);
            case MacroStatement macro: scope.Set(macro.Macro.Name!, new MacroValue(macro.Macro, scope)); return Flow.Next;
            case CallBlock call: RunCallBlock(call, scope); return Flow.Next;
            case ScopedBlock block: return Run(block.Body, new Scope(scope));
            case Break: return Flow.Break;
            case Continue: return Flow.Continue;
            case NeedsLoader: throw TemplateException.TypeError("no loader for this environment specified");
            default: throw new InvalidOperationException($"no rule for {statement.GetType().Name}");
        }
    }

    private Flow RunIf(If branch, Scope scope)
    {
        foreach (var (test, body) in branch.Branches)
            if (_expressions.Evaluate(test, scope).IsTrue) return Run(body, scope);
        return Run(branch.Else, scope);
    }

    private Flow RunFor(For loop, Scope scope)
    {
        var items = _expressions.Evaluate(loop.Items, scope);
        if (!loop.Recursive) return RunLoop(loop, items, scope, 0, null);
        Value Recurse(Value inner, int depth)
        {
            _budget.Enter();
            var outer = _output;
            _output = new TextBuffer(_budget);
            RunLoop(loop, inner, scope, depth, Recurse);
            var text = _output.ToString();
            _output = outer;
            _budget.Leave();
            return new TextValue(text);
        }
        _output.Append(((TextValue)Recurse(items, 0)).Text);
        return Flow.Next;
    }

    private Flow RunLoop(For statement, Value items, Scope scope, int depth, Func<Value, int, Value>? recurse)
    {
        var source = Iteration.Items(items, _budget);
        if (statement.Test is not null) source = Filter(statement, source, scope);
        var loop = new LoopValue(source, statement.Test is null ? Iteration.Length(items) : null, depth, recurse);
        var completedOne = false;
        while (loop.MoveNext())
        {
            _budget.Items(StepsPerRound);
            var round = new Scope(scope);
            Assign(statement.Target, loop.Current, round);
            round.Set("loop", loop);
            var flow = Run(statement.Body, round);
            if (flow == Flow.Break) break;
            completedOne |= flow == Flow.Next;
        }
        // As in Jinja, a loop whose every round was cut short counts as one that never ran.
        return completedOne ? Flow.Next : Run(statement.Else, new Scope(scope));
    }

    private IEnumerable<Value> Filter(For statement, IEnumerable<Value> items, Scope scope)
    {
        foreach (var item in items)
        {
            var round = new Scope(scope);
            Assign(statement.Target, item, round);
            if (_expressions.Evaluate(statement.Test!, round).IsTrue) yield return item;
        }
    }

    private Flow RunSetBlock(SetBlock set, Scope scope)
    {
        var inner = new Scope(scope);
        var (text, flow) = Capture(set.Body, inner);
        if (flow != Flow.Next) return flow;
        Value value = new TextValue(text);
        if (set.Filter is not null) value = _expressions.ApplyFilters(set.Filter, value, inner);
        Assign(set.Target, value, scope);
        return Flow.Next;
    }

    private Flow RunFilterBlock(FilterBlock block, Scope scope)
    {
        var inner = new Scope(scope);
        var (text, flow) = Capture(block.Body, inner);
        if (flow == Flow.Next) _output.Append(Printer.Str(_expressions.ApplyFilters(block.Filter, new TextValue(text), inner), _budget));
        return flow;
    }

    private Flow RunWith(With with, Scope scope)
    {
        var inner = new Scope(scope);
        foreach (var (target, value) in with.Bindings) Assign(target, _expressions.Evaluate(value, scope), inner);
        return Run(with.Body, inner);
    }

    private void RunCallBlock(CallBlock block, Scope scope)
    {
        var callee = _expressions.Evaluate(block.Call.Callee, scope);
        var arguments = _expressions.EvaluateArguments(block.Call.Arguments, scope);
        var caller = new MacroValue(block.Caller, scope);
        arguments = arguments with { Named = [.. arguments.Named, new("caller", caller)] };
        _output.Append(Printer.Str(_expressions.Invoke(callee, arguments), _budget));
    }

    private (string Text, Flow Flow) Capture(IReadOnlyList<Statement> body, Scope scope)
    {
        var outer = _output;
        _output = new TextBuffer(_budget);
        var flow = Run(body, scope);
        var text = _output.ToString();
        _output = outer;
        return (text, flow);
    }

    private void Assign(Target target, Value value, Scope scope)
    {
        switch (target)
        {
            case NameTarget name: scope.Set(name.Identifier, value); break;
            case NamespaceTarget member:
                if (scope.Find(member.Namespace) is not NamespaceValue space) throw TemplateException.Error("TemplateRuntimeError", "cannot assign attribute on non-namespace object");
                space.Set(member.Attribute, value);
                break;
            case TupleTarget tuple:
                if (!Iteration.IsIterable(value)) throw TemplateException.TypeError($"cannot unpack non-iterable {value.TypeName} object");
                var items = Iteration.ToList(value, _budget);
                if (items.Count != tuple.Items.Count) throw TemplateException.ValueError($"cannot unpack {items.Count} value(s) into {tuple.Items.Count}");
                for (var i = 0; i < items.Count; i++) Assign(tuple.Items[i], items[i], scope);
                break;
        }
    }
}
