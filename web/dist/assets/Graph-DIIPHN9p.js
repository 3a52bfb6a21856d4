import{a as o,f as e}from"./index-Dus-VsaJ.js";var m=e('<p class="muted">This view comes with the next commits.</p>');function r(t){var a=m();o(t,a)}export{r as default};
