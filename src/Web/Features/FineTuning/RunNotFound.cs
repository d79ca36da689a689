using TokenMill.Shared.Domain;

namespace TokenMill.Web.Features.FineTuning;

/// <summary>Also the answer for a run of another workspace: who may not see it learns nothing about it.</summary>
internal static class RunNotFound
{
    public static Error Error { get; } = new("run-not-found", "There is no such fine-tune here", "look for it in the list of fine-tunes");
}
