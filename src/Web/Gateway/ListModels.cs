using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;

namespace TokenMill.Web.Gateway;

/// <summary>The deployments of the caller's workspace that answer now, as OpenAI lists models.</summary>
public static class ListModels
{
    public static async Task<IResult> RunAsync(HttpContext http, PlatformDatabase database)
    {
        var models = await AllAsync(http, database);
        return Results.Ok(new { @object = "list", data = models });
    }

    public static async Task<IResult> OneAsync(string name, HttpContext http, PlatformDatabase database)
    {
        var models = await AllAsync(http, database);
        return models.SingleOrDefault(m => m.Id == name) is { } model ? Results.Ok(model)
            : OpenAiError.Result(StatusCodes.Status404NotFound, "model_not_found", $"The model '{name}' does not exist in this workspace", "model");
    }

    private static async Task<List<ListedModel>> AllAsync(HttpContext http, PlatformDatabase database)
    {
        await using var db = database.Open(ApiCaller.Of(http).WorkspaceId);
        var deployments = await db.Deployments.Where(d => d.DeletedAt == null && d.State == DeploymentState.Ready).OrderBy(d => d.Name).ToListAsync(http.RequestAborted);
        return [.. deployments.Select(d => new ListedModel(d.Name, "model", d.CreatedAt.ToUnixTimeSeconds(), "workspace"))];
    }

    private sealed record ListedModel(string Id, string Object, long Created, [property: System.Text.Json.Serialization.JsonPropertyName("owned_by")] string OwnedBy);
}
