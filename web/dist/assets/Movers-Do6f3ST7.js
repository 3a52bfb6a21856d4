import{a,f as e}from"./index-Dus-VsaJ.js";var s=e('<p class="muted">This view comes with the next commits.</p>');function r(t){var o=s();a(t,o)}export{r as default};
