using TokenMill.Shared.Domain;

namespace TokenMill.Web.Gateway;

/// <summary>Who calls: found by the key in the Authorization header, and with it the workspace that everything after is limited to.</summary>
public sealed record ApiCaller(WorkspaceId WorkspaceId, ApiKeyId KeyId, string RequestId)
{
    public static ApiCaller Of(HttpContext http) => http.Features.Get<ApiCaller>() ?? throw new InvalidOperationException("the route is not behind the API key filter");
}

/// <summary>Lets through what carries a valid key; gives every answer its request id.</summary>
public sealed class ApiKeyFilter(ApiKeyVerifier keys) : IEndpointFilter
{
    private const string Scheme = "Bearer ";

    public async ValueTask<object?> InvokeAsync(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        var http = context.HttpContext;
        var requestId = $"req-{Guid.CreateVersion7():N}";
        http.Response.Headers["x-request-id"] = requestId;
        var header = http.Request.Headers.Authorization.ToString();
        if (!header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
            return OpenAiError.Result(StatusCodes.Status401Unauthorized, "missing_api_key", "No API key was sent: put it into the header 'Authorization: Bearer sk-…'; keys are made on the portal's API keys page", null);
        if (await keys.FindAsync(header[Scheme.Length..].Trim(), http.RequestAborted) is not { } key)
            return OpenAiError.Result(StatusCodes.Status401Unauthorized, "invalid_api_key", "The API key is unknown or was revoked; make a new one on the portal's API keys page", null);
        http.Features.Set(new ApiCaller(key.WorkspaceId, key.Id, requestId));
        return await next(context);
    }
}
