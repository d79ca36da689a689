using TokenMill.Shared.ChatTemplates.Syntax;
using TokenMill.Shared.ChatTemplates.Values;

namespace TokenMill.Shared.ChatTemplates.Evaluation;

/// <summary>Comparison and membership.</summary>
internal static class Relations
{
    public static bool Holds(Relation relation, Value left, Value right, Rendering rendering) => relation switch
    {
        Relation.Equal => rendering.Comparer.Equals(left, right),
        Relation.NotEqual => !rendering.Comparer.Equals(left, right),
        Relation.Less => rendering.Comparer.Compare(left, right, "<") < 0,
        Relation.LessOrEqual => rendering.Comparer.Compare(left, right, "<=") <= 0,
        Relation.Greater => rendering.Comparer.Compare(left, right, ">") > 0,
        Relation.GreaterOrEqual => rendering.Comparer.Compare(left, right, ">=") >= 0,
        Relation.In => Contains(right, left, rendering),
        _ => !Contains(right, left, rendering),
    };

    public static bool Contains(Value container, Value item, Rendering rendering)
    {
        switch (container)
        {
            case TextValue text:
                if (item is not TextValue part) throw TemplateException.TypeError($"'in <string>' requires string as left operand, not {item.TypeName}");
                rendering.Budget.Look(text);
                return text.Text.Contains(part.Text, StringComparison.Ordinal);
            case MapValue map: return map.TryGet(item, out _);
            case MapViewValue { Kind: MapViewKind.Keys } view: return view.Map.TryGet(item, out _);
            default:
                if (!Iteration.IsIterable(container)) throw TemplateException.TypeError($"argument of type '{container.TypeName}' is not iterable");
                return Iteration.Items(container, rendering.Budget).Any(other => rendering.Comparer.Equals(other, item));
        }
    }
}
