using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Accounts;
using TokenMill.Web.Hosting;

namespace TokenMill.Web.Features.Models;

/// <summary>The GGUF file of a version of the caller's workspace, resumable; any other id is not found.</summary>
public static class DownloadModel
{
    public static async Task<Results<PhysicalFileHttpResult, NotFound>> HandleAsync(Guid id, ClaimsPrincipal user, Access access, PlatformDatabase database, DataDirectory data, CancellationToken cancellationToken)
    {
        var actor = await access.RequireAsync(user, Role.Viewer, cancellationToken);
        var versionId = new ModelVersionId(id);
        await using var db = database.Open(actor.WorkspaceId);
        var version = await db.ModelVersions.Where(v => v.Id == versionId)
            .Join(db.Models.Where(m => m.DeletedAt == null), v => v.ModelId, m => m.Id, (v, m) => new { v.Path, v.Number, m.Name }).SingleOrDefaultAsync(cancellationToken);
        if (version is null || !File.Exists(data.Resolve(version.Path))) return TypedResults.NotFound();
        var name = string.Concat(version.Name.Select(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' ? c : '-'));
        return TypedResults.PhysicalFile(data.Resolve(version.Path), "application/octet-stream", $"{name}-v{version.Number}.gguf", enableRangeProcessing: true);
    }
}
