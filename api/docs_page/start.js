"use strict";

// Nothing is asked of anybody but this server: no validator, no other scripts.
window.addEventListener("load", () => {
  window.ui = SwaggerUIBundle({
    url: "openapi.json",
    dom_id: "#operations",
    deepLinking: true,
    defaultModelsExpandDepth: 0,
    displayOperationId: true,
    docExpansion: "none",
    filter: true,
    validatorUrl: null,
  });
});
